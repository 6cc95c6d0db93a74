"""How the service is reached: options, credentials, and what stays secret."""

import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

import grpc
import grpc_testing
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit_client import AsyncClient, Client, NotFound
from imageedit_client.connection import Connection

SERVICE = service_pb2.DESCRIPTOR.services_by_name["ImageEditService"]


async def test_the_key_travels_as_a_bearer_in_every_call(server, say):
    """Unary calls and streams, in both faces."""
    server.on("GetTask", *[service_pb2.GetTaskResponse()] * 2)
    server.on("WatchTask", *[[say.event(1, "SUCCEEDED")]] * 2)
    with Client(server.address, api_key="k3y") as client:
        client.get("task_1")
        client.wait("task_1")
    async with AsyncClient(server.address, api_key="k3y") as async_client:
        await async_client.get("task_1")
        await async_client.wait("task_1")
    assert [each.get("authorization") for each in server.metadata] == ["Bearer k3y"] * 4


def test_without_a_key_no_credential_is_sent(server):
    """A loopback service needs none."""
    server.on("GetTask", service_pb2.GetTaskResponse())
    with Client(server.address) as client:
        client.get("task_1")
    assert "authorization" not in server.metadata[0]


def test_a_key_that_cannot_be_sent_is_refused_without_showing_it():
    """A line break at the end of a key file is the usual case."""
    with pytest.raises(ValueError, match="printable") as refused:
        Client(api_key="s3cret\n")
    assert "s3cret" not in str(refused.value)


def test_the_key_is_not_in_the_repr():
    """Connections may be logged."""
    assert "s3cret" not in repr(Connection(api_key="s3cret"))


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1:50051", True),
        ("[::1]:50051", True),
        ("localhost:1", True),
        ("unix:/tmp/s", True),
        ("10.0.0.1:50051", False),
        ("edits.example.com:443", False),
    ],
)
def test_a_proxy_is_never_asked_for_this_machine(address, loopback):
    """http_proxy in the environment would otherwise break every call to 127.0.0.1."""
    options = dict(Connection(address=address).options())
    assert (options.get("grpc.enable_http_proxy") == 0) is loopback


def test_reconnecting_is_fast():
    """The contract's numbers."""
    options = dict(Connection().options())
    assert options["grpc.initial_reconnect_backoff_ms"] == 100
    assert options["grpc.max_reconnect_backoff_ms"] == 2000


def test_a_ca_file_means_tls(tmp_path):
    """Saying whom to trust and then speaking plaintext would be a trap."""
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")
    assert isinstance(Connection(ca_file=authority).credentials(), grpc.ChannelCredentials)
    assert isinstance(Connection(tls=True).credentials(), grpc.ChannelCredentials)
    assert Connection().credentials() is None


def test_a_missing_ca_file_is_refused_at_once(tmp_path):
    """Not at the first call."""
    with pytest.raises(FileNotFoundError):
        Client(ca_file=tmp_path / "missing.pem")


def test_the_sync_face_works_over_a_channel_of_the_caller():
    """The fake channel shows what one call carries: the metadata and a deadline of 60 seconds."""
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor() as pool, Client(channel=channel, api_key="k3y") as client:
        answer = pool.submit(client.get, "task_1")
        metadata, request, call = channel.take_unary_unary(SERVICE.methods_by_name["GetTask"])
        call.terminate(service_pb2.GetTaskResponse(task={"task_id": "task_1"}), (), grpc.StatusCode.OK, "")
        assert answer.result(10).task_id == "task_1"
    assert request == service_pb2.GetTaskRequest(task_id="task_1")
    assert ("authorization", "Bearer k3y") in metadata


def test_the_sync_face_translates_what_a_channel_of_the_caller_refuses(say):
    """The table is the same, whatever the channel is."""
    refusal = say.Refusal(code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND").status()
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(Client(channel=channel).get, "task_1")
        _, _, call = channel.take_unary_unary(SERVICE.methods_by_name["GetTask"])
        call.terminate(None, refusal.trailing_metadata, refusal.code, refusal.details)
        with pytest.raises(NotFound, match="refused by the script"):
            answer.result(10)


def test_the_sync_face_watches_over_a_channel_of_the_caller(say):
    """A stream, read while it is being written."""
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: [event.seq for event in Client(channel=channel).watch("task_1")])
        _, request, call = channel.take_unary_stream(SERVICE.methods_by_name["WatchTask"])
        call.send_response(say.event(1))
        call.send_response(say.event(2, "SUCCEEDED"))
        call.terminate((), grpc.StatusCode.OK, "")
        assert answer.result(10) == [1, 2]
    assert request.task_id == "task_1"


async def test_a_channel_of_the_caller_stays_open(server):
    """Who opened it closes it."""
    server.on("GetTask", *[service_pb2.GetTaskResponse()] * 4)
    with grpc.insecure_channel(server.address) as channel:
        for _ in range(2):
            with Client(channel=channel) as client:
                client.get("task_1")
    async with grpc.aio.insecure_channel(server.address) as async_channel:
        for _ in range(2):
            async with AsyncClient(channel=async_channel) as async_client:
                await async_client.get("task_1")


def test_the_library_loads_no_extra_and_no_server():
    """The base install has grpcio, protobuf and grpcio-status alone."""
    code = "import sys, imageedit_client; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "imageedit_client" in loaded
    assert set(loaded).isdisjoint({"rich", "typer", "click", "imageedit_server", "httpx", "PIL", "pydantic"})
