"""Health, and a stranger with ``buf curl`` who knows nothing but the address."""

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from imageedit_client import AsyncClient, Client
from tests.rpc.calls import METHODS
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, SERVICE, Served, serving
from tests.rpc.world import World
from tests.servers.programs import run_to_end

pytestmark = pytest.mark.asyncio(loop_scope="module")

CURL = ("curl", "--http2-prior-knowledge", "--protocol", "grpc")
BUF = Path(sys.executable).with_name("buf")
MESSAGES: Any = health_pb2  # its stubs know nothing of List
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


# Health


@pytest.mark.parametrize("name", ["", SERVICE.full_name])
async def test_health_says_serving_for_the_server_and_the_service(served: Served, name: str) -> None:
    """grpc.health.v1 Check."""
    answer = await _check(served, name)
    assert answer.status == SERVING


async def test_health_of_an_unknown_service_is_not_found(served: Served) -> None:
    """As the health protocol says."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _check(served, "nobody")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_health_lists_what_it_knows(served: Served) -> None:
    """grpc.health.v1 List, for status pages: the server and the service."""
    call = served.channel.unary_unary(
        "/grpc.health.v1.Health/List", bytes, MESSAGES.HealthListResponse.FromString
    )
    answer = await call(b"")
    assert {name: each.status for name, each in answer.statuses.items()} == {
        "": SERVING,
        SERVICE.full_name: SERVING,
    }


async def test_the_clients_lend_their_connection_to_stubs_of_other_services(served: Served) -> None:
    """As docs/python-client.md shows."""
    address, request = served.server.grpc_address, HealthCheckRequest(service=SERVICE.full_name)
    stubs: Any = HealthStub
    async with AsyncClient(address) as client:
        assert (await stubs(client.channel).Check(request)).status == SERVING
    with Client(address) as blocking:
        check = stubs(blocking.channel).Check
        assert (await asyncio.to_thread(check, request, timeout=60)).status == SERVING
    assert vars(AsyncClient)["_channel"] is vars(AsyncClient)["channel"]  # its older name


async def test_a_health_watch_learns_of_the_drain_at_once(tmp_path: Path) -> None:
    """P24: readiness turns before anything else ends."""
    async with serving(tmp_path, SCRIPTED) as served:
        path = "/grpc.health.v1.Health/Watch"
        stream = served.channel.unary_stream(path, bytes, HealthCheckResponse.FromString)
        watch = stream(HealthCheckRequest(service=SERVICE.full_name).SerializeToString())
        first = await watch.read()
        assert isinstance(first, HealthCheckResponse)
        assert first.status == SERVING
        draining = asyncio.ensure_future(served.server.drain())
        async with asyncio.timeout(60):
            second = await watch.read()
        assert isinstance(second, HealthCheckResponse)
        assert second.status == NOT_SERVING
        watch.cancel()
        await draining


async def _check(served: Served, name: str) -> HealthCheckResponse:
    call = served.channel.unary_unary("/grpc.health.v1.Health/Check", bytes, HealthCheckResponse.FromString)
    return await call(HealthCheckRequest(service=name).SerializeToString())


# buf curl


async def buf(*arguments: str | Path, stdin: str = "") -> tuple[int, str, str]:
    """Run ``buf``; return its exit code, stdout and stderr."""
    ran = await run_to_end(BUF, *arguments, stdin=stdin)
    return ran.code, ran.out, ran.err


async def curl(served: Served, method: str, request: object) -> tuple[int, list[dict[str, object]], str]:
    """Call with JSON through reflection; return the exit code, the answers and stderr."""
    url = f"http://{served.server.grpc_address}/{SERVICE.full_name}/{method}"
    data = "\n".join(map(json.dumps, request if isinstance(request, list) else [request]))
    code, out, err = await buf(*CURL, "--data", "@-", url, stdin=data)
    return code, [answer async for answer in _objects(out)], err


async def _objects(text: str) -> AsyncIterator[dict[str, object]]:
    decoder, rest = json.JSONDecoder(), text.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        yield value
        rest = rest[end:].strip()


async def test_buf_lists_and_describes(served: Served) -> None:
    """``--list-methods`` finds every RPC by reflection alone."""
    address = f"http://{served.server.grpc_address}"
    code, out, err = await buf(*CURL, "--list-methods", address)
    assert code == 0, err
    assert {f"{SERVICE.full_name}/{method}" for method in METHODS} <= set(out.split())
    code, out, err = await buf(*CURL, "--list-services", address)
    assert code == 0, err
    assert SERVICE.full_name in out.split()


async def test_buf_calls_a_unary_method(served: Served) -> None:
    """ListModels, in JSON."""
    code, (answer,), err = await curl(served, "ListModels", {})
    assert code == 0, err
    assert "scripted/ok" in json.dumps(answer)


async def test_buf_uploads_creates_and_watches(served: Served) -> None:
    """The whole way of the README: a client stream, a unary call and a server stream."""
    photo = [{"info": {}}, {"chunk": base64.b64encode(PNG).decode()}]
    code, (uploaded,), err = await curl(served, "UploadImage", photo)
    assert code == 0, err
    image_id = uploaded["image"]["imageId"]  # type: ignore[index]
    request = {"prompt": "make it warmer", "images": [{"imageId": image_id}]}
    code, (created,), err = await curl(served, "EditImage", request)
    assert code == 0, err
    code, events, err = await curl(served, "WatchTask", {"taskId": created["task"]["taskId"]})  # type: ignore[index]
    assert code == 0, err
    assert [event["event"]["seq"] for event in events] == [str(seq + 1) for seq in range(len(events))]  # type: ignore[index]
    assert events[-1]["event"]["task"]["state"] == "STATE_SUCCEEDED"  # type: ignore[index]


async def test_buf_shows_the_details_of_an_error(served: Served, world: World) -> None:
    """The code, and ErrorInfo and BadRequest decoded."""
    request = {"prompt": "x", "images": [{"imageId": world.png}], "model": "nobody"}
    code, answers, err = await curl(served, "EditImage", request)
    assert code == 8 * grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert not answers
    error = json.loads(err)
    assert error["code"] == "invalid_argument"
    details = {detail["type"]: _unpadded(detail["value"]) for detail in error["details"]}
    info = ErrorInfo.FromString(details["google.rpc.ErrorInfo"])
    assert info == ErrorInfo(reason="UNKNOWN_MODEL", domain="imageedit")
    (violation,) = BadRequest.FromString(details["google.rpc.BadRequest"]).field_violations
    assert violation.field == "model"


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))
