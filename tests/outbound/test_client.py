"""The client of vendor APIs: what goes over the wire, and what comes back."""

import asyncio
import json
import logging
import sys
from importlib.metadata import version

import pytest

from imageedit_server.outbound import network
from imageedit_server.outbound.client import ApiClient, Broken, NotSent, Part, Reply
from tests.leaps import LIMIT
from tests.outbound.conftest import MakeClient
from tests.outbound.servers import Call, Reader, Writer, read_call, reply, serve, serve_raw
from tests.outbound.worlds import trust


async def test_json_goes_out_and_the_reply_comes_back(client: MakeClient) -> None:
    async with serve(reply(201, b'{"id": 1}', X_Request_Id="r1")) as server:
        got = await client(server.url).send("POST", "/v1/jobs", json={"prompt": "猫"}, limit_seconds=LIMIT)
    assert got == Reply(201, {"content-length": "9", "x-request-id": "r1"}, b'{"id": 1}')
    [call] = server.calls
    assert call.line == "POST /v1/jobs HTTP/1.1"
    assert json.loads(call.body) == {"prompt": "猫"}
    assert call.header("content-type") == "application/json"


async def test_every_call_names_itself_and_asks_for_plain_bytes(client: MakeClient) -> None:
    async with serve(reply()) as server:
        await client(server.url, **{"authorization": "Bearer k", "accept-encoding": "gzip"}).send(
            "GET", "/", limit_seconds=LIMIT
        )
    [call] = server.calls
    assert call.header("user-agent") == f"imageedit/{version('imageedit')}"
    assert call.header("accept-encoding") == "identity"
    assert call.header("authorization") == "Bearer k"


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("", "/v1/images/edits/", "/v1/images/edits/"),
        ("", "v1/images/edits", "/v1/images/edits"),
        ("/", "/v1", "/v1"),
        ("/api/", "/v1", "/api/v1"),
        ("/api", "", "/api/"),
        ("", "//evil.example/x", "//evil.example/x"),
        ("", "/jobs/a%2Fb", "/jobs/a%2Fb"),
    ],
)
async def test_the_path_is_joined_as_it_is(client: MakeClient, base: str, path: str, target: str) -> None:
    async with serve(reply()) as server:
        await client(server.url + base).send("GET", path, limit_seconds=LIMIT)
    assert server.calls[0].line == f"GET {target} HTTP/1.1"


async def test_parameters_are_quoted(client: MakeClient) -> None:
    async with serve(reply()) as server:
        await client(server.url).send("GET", "/r", params={"taskId": "a b&c=猫"}, limit_seconds=LIMIT)
    assert server.calls[0].line == "GET /r?taskId=a+b%26c%3D%E7%8C%AB HTTP/1.1"


async def test_a_form_goes_out_with_its_length(client: MakeClient) -> None:
    async with serve(reply()) as server:
        parts = [Part("prompt", b"x"), Part("image", b"\x89PNG", "a.png", "image/png")]
        await client(server.url).send("POST", "/edits", parts=parts, limit_seconds=LIMIT)
    [call] = server.calls
    assert (call.header("content-type") or "").startswith("multipart/form-data; boundary=")
    names = "host user-agent accept accept-encoding authorization content-type content-length"
    assert [line.partition(":")[0].lower() for line in call.head.split("\r\n")[1:] if line] == names.split()
    assert call.header("host") == server.url.removeprefix("http://")
    assert b'name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n' in call.body


async def test_reads_share_a_connection_and_paid_calls_never_do(client: MakeClient) -> None:
    async with serve(reply()) as server:
        vendor = client(server.url)
        for _ in range(3):
            await vendor.send("GET", "/poll", limit_seconds=LIMIT)
        assert server.connections == 1
        for _ in range(3):
            await vendor.send("POST", "/pay", json={}, limit_seconds=LIMIT)
        assert server.connections == 4


async def test_no_cookie_is_kept(client: MakeClient) -> None:
    async with serve(reply(Set_Cookie="session=1; Path=/")) as server:
        vendor = client(server.url)
        await vendor.send("GET", "/", limit_seconds=LIMIT)
        await vendor.send("GET", "/", limit_seconds=LIMIT)
    assert [call.header("cookie") for call in server.calls] == [None, None]


async def test_the_environment_changes_nothing(client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere")
    async with serve(reply()) as server:
        assert (await client(server.url).send("GET", "/", limit_seconds=LIMIT)).status == 200
        ApiClient(server.url, {}, trust=trust())


@pytest.mark.parametrize("value", ["key\n", "key\r\nX: 1", "ключ", " key", "k\0"])
def test_a_header_that_http_cannot_carry_stops_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="Authorization") as refused:
        ApiClient("https://good.example", {"Authorization": value}, trust=trust())
    assert "key" not in str(refused.value)


async def test_nothing_that_is_sent_or_got_is_logged(
    client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve(reply(Location="https://x.example/?canary")) as server:
        vendor = client(server.url, Authorization="Bearer canary")
        await vendor.send("POST", "/canary", params={"q": "canary"}, json="canary", limit_seconds=LIMIT)
    assert "canary" not in caplog.text


# 307 and 308


async def test_a_307_is_sent_again_once_with_the_same_method_and_body(client: MakeClient) -> None:
    async with serve(reply(307, b"", Location="/v1/edits"), reply(200, b"[]")) as server:
        parts = [Part("image", b"\xff" * 70_000, "a.png", "image/png")]
        got = await client(server.url).send("POST", "/v1/edits/", parts=parts, limit_seconds=LIMIT)
    assert (got.status, got.body) == (200, b"[]")
    first, second = server.calls
    assert (first.line, second.line) == ("POST /v1/edits/ HTTP/1.1", "POST /v1/edits HTTP/1.1")
    assert first.body == second.body
    assert first.head.split("\r\n")[1:] == second.head.split("\r\n")[1:]


async def test_a_308_may_name_the_whole_url_of_the_same_place(client: MakeClient) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        calls.append(await read_call(reader))
        answer = (
            reply() if len(calls) > 1 else reply(308, b"", Location=f"http://127.0.0.1:{server.port}/b?c=1")
        )
        writer.write(answer)
        await writer.drain()

    calls: list[Call] = []
    async with serve_raw(handler) as server:
        got = await client(server.url).send("POST", "/a", json={}, limit_seconds=LIMIT)
    assert got.status == 200
    assert calls[1].line == "POST /b?c=1 HTTP/1.1"


async def test_a_second_307_is_the_reply(client: MakeClient) -> None:
    async with serve(reply(307, b"", Location="/again")) as server:
        got = await client(server.url).send("POST", "/a", json={}, limit_seconds=LIMIT)
    assert got.status == 307
    assert len(server.calls) == 2


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (307, "http://localhost:{port}/b"),
        (307, "https://127.0.0.1:{port}/b"),
        (307, "http://127.0.0.1:1/b"),
        (308, "http://user:word@127.0.0.1:{port}/b"),
        (307, "//evil.example/b"),
        (307, "http://[half/b"),
        (307, "file:///etc/passwd"),
        (301, "/b"),
        (302, "/b"),
        (303, "/b"),
        (300, "/b"),
        (304, "/b"),
    ],
)
async def test_any_other_redirect_is_the_reply(client: MakeClient, status: int, location: str) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        calls.append(await read_call(reader))
        writer.write(reply(status, b"", Location=location.format(port=server.port)))
        await writer.drain()

    calls: list[Call] = []
    async with serve_raw(handler) as server:
        got = await client(server.url).send("POST", "/a", json={}, limit_seconds=LIMIT)
    assert got.status == status
    assert len(calls) == 1


async def test_a_307_without_a_place_is_the_reply(client: MakeClient) -> None:
    async with serve(reply(307)) as server:
        assert (await client(server.url).send("POST", "/a", json={}, limit_seconds=LIMIT)).status == 307


async def test_a_cancelled_call_ends_at_once_and_closes_its_connection(client: MakeClient) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        arrived.set()
        await reader.read()
        gone.set()

    arrived, gone = asyncio.Event(), asyncio.Event()
    async with serve_raw(handler) as server:
        task = asyncio.create_task(client(server.url).send("POST", "/", json={}, limit_seconds=30))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), LIMIT)


class Held:
    """Takes calls and answers those to ``/out`` alone; hangs up when it is told to."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.hang_up = asyncio.Event()

    async def __call__(self, reader: Reader, writer: Writer) -> None:
        call = await read_call(reader)
        if call.line.startswith("POST /out"):
            writer.write(reply())
            await reader.read()
            return
        self.arrived.set()
        await self.hang_up.wait()


@pytest.mark.parametrize("end", ["cancelled", "broken"])
async def test_a_call_beyond_the_connections_waits_and_was_not_sent(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """However a call ends, the place of its connection is free for the next one."""
    monkeypatch.setattr(network, "MAX_CONNECTIONS", 1)
    held = Held()
    async with serve_raw(held) as server:
        calls = client(server.url)
        first = asyncio.create_task(calls.send("POST", "/in", json={}, limit_seconds=LIMIT))
        await held.arrived.wait()
        with pytest.raises(NotSent):
            await calls.send("POST", "/out", json={}, limit_seconds=0.05)
        assert server.connections == 1
        waiting = asyncio.create_task(calls.send("POST", "/out", json={}, limit_seconds=LIMIT))
        await asyncio.sleep(0)
        first.cancel() if end == "cancelled" else held.hang_up.set()
        with pytest.raises((asyncio.CancelledError, Broken)):
            await first
        assert (await waiting).status == 200
        assert (await calls.send("POST", "/out", json={}, limit_seconds=LIMIT)).status == 200


async def test_a_client_that_is_closed_closes_what_is_under_way(client: MakeClient) -> None:
    held = Held()
    async with serve_raw(held) as server:
        calls = client(server.url)
        call = asyncio.create_task(calls.send("POST", "/in", json={}, limit_seconds=LIMIT))
        await held.arrived.wait()
        await calls.aclose()
        with pytest.raises(Broken):
            await call


async def test_a_call_searches_for_no_module(client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpcore imports at every lock what may be missing; each such search takes longer than the lock."""
    searched: list[str] = []

    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            searched.append(name)

    async with serve(reply()) as server:
        vendor = client(server.url)
        await vendor.send("GET", "/", limit_seconds=LIMIT)
        monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
        await vendor.send("POST", "/", json={}, limit_seconds=LIMIT)
    assert searched == []
