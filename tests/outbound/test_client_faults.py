"""Every way a call can go wrong (F43, F44, F54, F56): the right word, in time, and never a second try."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpcore
import pytest

from imageedit_server.outbound.client import ApiClient, Broken, NotSent, OutboundError, Part, Trust
from imageedit_server.outbound.errors import Late, Unacceptable
from imageedit_server.outbound.network import Network
from tests.leaps import LIMIT, for_ever, leap
from tests.outbound.conftest import MakeClient
from tests.outbound.servers import Handler, Reader, Writer, read_call, reply, reset, serve, serve_raw
from tests.outbound.worlds import PUBLIC, Silent, World, trust

CAP = 4096


async def arrival(reader: Reader) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def hang_before_headers(reader: Reader, writer: Writer) -> None:
    await arrival(reader)
    leap()
    await for_ever()


async def drip_headers(reader: Reader, writer: Writer) -> None:
    await arrival(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: 1\r\n")
        await writer.drain()
        leap(1)
        await asyncio.sleep(0)


async def drip_body(reader: Reader, writer: Writer) -> None:
    await arrival(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        leap(1)
        await asyncio.sleep(0)


async def endless_headers(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: " + b"a" * 1000 + b"\r\n")
        await writer.drain()


async def one_endless_header(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        writer.write(b"a" * 1000)
        await writer.drain()


async def endless_continues(reader: Reader, writer: Writer) -> None:
    await arrival(reader)
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        leap(1)
        await asyncio.sleep(0)


async def endless_body(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 1000)
        await writer.drain()


async def endless_chunks(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n" * 1000)
        await writer.drain()


async def huge_length(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    await for_ever()


async def gzip_bomb(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(reply(200, gzip.compress(bytes(3_000_000)), Content_Encoding="gzip"))
    await writer.drain()


async def brotli_unasked(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(reply(200, b"x", Content_Encoding="br"))
    await writer.drain()


async def two_encodings(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(reply(200, b"x", Content_Encoding="identity, gzip"))
    await writer.drain()


async def accept_then_rst(reader: Reader, writer: Writer) -> None:
    reset(writer)


async def close_without_a_word(reader: Reader, writer: Writer) -> None:
    await read_call(reader)


async def rst_after_the_request(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    reset(writer)


async def rst_mid_body(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    reset(writer)


async def body_cut_short(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()


async def chunks_cut_short(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    await writer.drain()


async def headers_cut_short(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    await writer.drain()


async def two_lengths(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
    await writer.drain()


async def not_http(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()


BROKEN = [
    hang_before_headers,
    drip_headers,
    drip_body,
    endless_headers,
    one_endless_header,
    endless_continues,
    accept_then_rst,
    close_without_a_word,
    rst_after_the_request,
    rst_mid_body,
    body_cut_short,
    chunks_cut_short,
    headers_cut_short,
    two_lengths,
    not_http,
]
UNACCEPTABLE = [endless_body, endless_chunks, huge_length, gzip_bomb, brotli_unasked, two_encodings]


@asynccontextmanager
async def counted(handler: Handler) -> AsyncIterator[tuple[str, Callable[[], int]]]:
    async with serve_raw(handler) as server:
        yield server.url, lambda: server.connections


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("handler", [*BROKEN, *UNACCEPTABLE], ids=lambda handler: handler.__name__)
async def test_a_call_that_arrived_is_broken_in_time_and_made_once(
    client: MakeClient, handler: Handler, method: str
) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with counted(handler) as (url, connections):
        with pytest.raises(Unacceptable if handler in UNACCEPTABLE else Broken) as broken:
            await client(url).send(method, "/", json={}, limit_seconds=LIMIT, max_body_bytes=CAP)
        assert connections() == 1
    assert loop.time() - started < 2 * LIMIT
    assert str(broken.value).endswith(".")


@pytest.mark.parametrize(
    "handler", [endless_headers, one_endless_header, endless_body, gzip_bomb], ids=lambda each: each.__name__
)
async def test_what_never_ends_costs_little_memory(client: MakeClient, handler: Handler) -> None:
    async with serve_raw(handler) as server:
        vendor = client(server.url)
        tracemalloc.start()
        try:
            with pytest.raises(Broken):
                await vendor.send("GET", "/", limit_seconds=LIMIT, max_body_bytes=CAP)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024 * 1024  # the server's own buffers count too


async def test_the_cap_is_met_to_the_byte(client: MakeClient) -> None:
    async with serve(reply(200, bytes(CAP)), reply(200, bytes(CAP + 1))) as server:
        vendor = client(server.url)
        got = await vendor.send("GET", "/", limit_seconds=LIMIT, max_body_bytes=CAP)
        assert len(got.body) == CAP
        with pytest.raises(Unacceptable):
            await vendor.send("GET", "/", limit_seconds=LIMIT, max_body_bytes=CAP)


@pytest.mark.parametrize("encoding", ["identity", "IDENTITY", "", " "])
async def test_identity_is_no_encoding(client: MakeClient, encoding: str) -> None:
    async with serve(reply(200, b"x", Content_Encoding=encoding)) as server:
        assert (await client(server.url).send("GET", "/", limit_seconds=LIMIT)).body == b"x"


async def test_a_body_cut_short_without_a_length_looks_whole(client: MakeClient) -> None:
    """The trap that ``read_json`` and full decoding are for."""

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        writer.write(b'HTTP/1.1 200 OK\r\n\r\n{"code": 20')
        await writer.drain()

    async with serve_raw(handler) as server:
        got = await client(server.url).send("GET", "/", limit_seconds=LIMIT)
    assert got.body == b'{"code": 20'


async def test_an_informational_reply_is_not_the_reply(client: MakeClient) -> None:
    async with serve(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + reply(200, b"x")) as server:
        assert (await client(server.url).send("POST", "/", json={}, limit_seconds=LIMIT)).body == b"x"


# Nothing can have been sent


async def send_over(network: Network, url: str = f"http://{PUBLIC}", limit: float = LIMIT) -> None:
    vendor = ApiClient(url, {}, trust=trust(network))
    try:
        await vendor.send("POST", "/", json={}, limit_seconds=limit)
    finally:
        await vendor.aclose()


async def test_a_closed_port_is_not_sent() -> None:
    async with serve(reply()) as server:
        url = server.url
    with pytest.raises(NotSent, match="No connection"):
        await send_over(Network(), url)


async def test_a_name_without_an_address_is_not_sent() -> None:
    with pytest.raises(NotSent, match="name of the host"):
        await send_over(World({}), "https://nowhere.example")


async def test_a_connection_that_takes_for_ever_is_not_sent() -> None:
    with pytest.raises(NotSent, match="in time"):
        await send_over(Silent(), limit=0.05)


async def test_a_handshake_that_takes_for_ever_is_not_sent() -> None:
    async with serve_raw(hang_before_headers) as server:
        with pytest.raises(NotSent, match="in time"):
            await send_over(Network(), f"https://127.0.0.1:{server.port}", limit=0.05)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://127.0.0.1:99999", "http://[half", "nonsense"])
async def test_a_url_that_cannot_be_called_is_not_sent(url: str) -> None:
    with pytest.raises(OutboundError) as error:
        await send_over(Network(), url)
    assert type(error.value) is NotSent


@pytest.mark.parametrize(
    ("certificate", "host", "sentence"),
    [
        ("good.example", "good.example", ""),
        ("expired", "good.example", "certificate has expired"),
        ("other.example", "good.example", "not valid for 'good.example'"),
        ("good.example", "127.0.0.1", "not valid for '127.0.0.1'"),
    ],
)
async def test_tls_proves_the_host(certificate: str, host: str, sentence: str) -> None:
    async with serve(reply(), certificate=certificate) as server:
        world = World({"good.example": [("127.0.0.1",)]}, {"127.0.0.1": server.port})
        if not sentence:
            await send_over(world, f"https://{host}")
            assert len(server.calls) == 1
            return
        with pytest.raises(NotSent, match=sentence):
            await send_over(world, f"https://{host}")
        assert server.calls == []


async def test_an_unknown_authority_is_refused_by_default(client: MakeClient) -> None:
    async with serve(reply(), certificate="good.example") as server:
        vendor = ApiClient(f"https://127.0.0.1:{server.port}", {}, trust=Trust())
        with pytest.raises(NotSent, match="certificate is refused"):
            await vendor.send("POST", "/", json={}, limit_seconds=LIMIT)
        await vendor.aclose()


async def test_plain_http_where_tls_is_due_is_not_sent() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
        await reader.read()

    async with serve_raw(handler) as server:
        with pytest.raises(NotSent):
            await send_over(Network(), f"https://127.0.0.1:{server.port}")


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    class Half(World):
        async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
            if address == "::1":
                raise httpcore.ConnectError("unreachable")
            return await super().connect(address, port, limit_seconds)

    async with serve(reply()) as server:
        network = Half({"good.example": [("::1", PUBLIC)]}, {PUBLIC: server.port})
        await send_over(network, "http://good.example")
    assert len(server.calls) == 1


async def test_one_vendors_trouble_does_not_hold_up_another(client: MakeClient) -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await arrival(reader)
        arrived.release()
        await for_ever()

    arrived = asyncio.Semaphore(0)
    async with serve_raw(handler) as slow, serve(reply()) as quick:
        send = partial(client(slow.url).send, "POST", "/", json={}, limit_seconds=LIMIT)
        waiting = [asyncio.create_task(send()) for _ in range(50)]
        for _ in waiting:
            await arrived.acquire()
        await client(quick.url).send("POST", "/", json={}, limit_seconds=LIMIT)
        assert not any(task.done() for task in waiting)
        leap()
        results = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(result) for result in results} == {Late}


class Stuck(httpcore.AsyncNetworkStream):
    """A connection that takes not even the head of a request, or only says so."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        if self._error:
            raise self._error
        leap()
        await for_ever()

    async def aclose(self) -> None:
        pass

    def get_extra_info(self, info: str) -> None:
        return None


@pytest.mark.parametrize(
    "error", [None, OSError("odd"), RuntimeError("odd"), httpcore.WriteTimeout()], ids=repr
)
async def test_from_the_first_byte_on_it_may_have_arrived(error: Exception | None) -> None:
    class World(Network):
        async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
            return Stuck(error)

    with pytest.raises(Broken):
        await send_over(World())


@pytest.mark.parametrize("error", [OSError("odd"), RuntimeError("odd"), OverflowError("odd")], ids=repr)
async def test_before_the_first_byte_whatever_happens_is_not_sent(error: Exception) -> None:
    class World(Network):
        async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
            raise error

    with pytest.raises(NotSent):
        await send_over(World())


async def test_a_big_request_into_a_wall_is_broken_in_time(client: MakeClient) -> None:
    async with serve_raw(hang_before_headers) as server:
        part = Part("image", bytes(20_000_000), "a.png", "image/png")
        with pytest.raises(Broken, match="in time"):
            await client(server.url).send("POST", "/", parts=[part], limit_seconds=LIMIT)
