"""The guarded fetch: what it brings, and how it fails. What it may connect to is in ``test_fetch_rule``."""

import asyncio
import gzip
import ssl
import zlib

import pytest

from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.outbound.network import Trust
from tests.leaps import LIMIT, for_ever, leap
from tests.outbound.servers import (
    Handler,
    Reader,
    Server,
    Writer,
    read_call,
    reply,
    reset,
    serve,
    serve_raw,
)
from tests.outbound.worlds import PUBLIC, World, trust

MAX = 100_000


async def got(fetch: GuardedFetch, url: str = "https://good.example/a.png") -> bytes:
    async with fetch.open(url, max_bytes=MAX, limit_seconds=LIMIT) as fetched:
        return b"".join([chunk async for chunk in fetched.chunks()])


def fetch_from(server: Server) -> GuardedFetch:
    return GuardedFetch(trust=trust(World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})))


async def test_the_content_comes_over_tls_for_the_name() -> None:
    async with serve(reply(200, b"\x89PNG"), certificate="good.example") as server:
        assert await got(fetch_from(server), "https://good.example/a.png?X-Signature=s#part") == b"\x89PNG"
    [call] = server.calls
    assert call.line == "GET /a.png?X-Signature=s HTTP/1.1"
    assert call.header("host") == "good.example"


async def test_nothing_of_ours_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with serve(
        reply(302, b"", Location="/b", Set_Cookie="s=1"), reply(200, b"x"), certificate="good.example"
    ) as server:
        assert await got(fetch_from(server)) == b"x"
    for call in server.calls:
        names = {line.partition(":")[0].lower() for line in call.head.split("\r\n")[1:]}
        assert names == {"host", "user-agent", "accept", "accept-encoding"}
        assert call.header("accept-encoding") == "identity"


async def test_the_dot_of_the_root_is_not_part_of_the_name() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        assert await got(fetch_from(server), "https://GOOD.example./a") == b"x"
    assert server.calls[0].header("host") == "good.example"


async def test_what_the_operator_allows_is_fetched_over_http() -> None:
    async with serve(reply(200, b"x")) as server:
        fetch = GuardedFetch([f"127.0.0.1:{server.port}", f"LocalHost:{server.port}"], trust=trust())
        assert await got(fetch, f"{server.url}/a") == b"x"
        assert await got(fetch, f"http://localhost:{server.port}/a") == b"x"


def test_an_entry_that_is_no_place_is_refused() -> None:
    with pytest.raises(ValueError, match="host:port"):
        GuardedFetch(["https://good.example"], trust=trust())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_up_to_three_redirects_are_followed(status: int) -> None:
    hops = [reply(status, b"", Location=place) for place in ("/1", "2", "https://good.example/3")]
    async with serve(*hops, reply(200, b"x"), certificate="good.example") as server:
        assert await got(fetch_from(server)) == b"x"
    assert [call.line.split()[1] for call in server.calls] == ["/a.png", "/1", "/2", "/3"]
    assert server.connections == 4


@pytest.mark.parametrize("location", ["/a.png", "https://good.example/a.png", "/next"])
async def test_four_redirects_and_loops_fail(location: str) -> None:
    async with serve(reply(302, b"", Location=location), certificate="good.example") as server:
        with pytest.raises(FetchFailed, match="more than 3") as failed:
            await got(fetch_from(server))
    assert failed.value.final
    assert len(server.calls) == 4


async def test_a_location_beside_a_200_means_nothing() -> None:
    async with serve(reply(200, b"x", Location="https://127.0.0.1/"), certificate="good.example") as server:
        assert await got(fetch_from(server)) == b"x"


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 403, 404, 410, 429, 500, 503])
async def test_any_other_status_fails_with_it(status: int) -> None:
    async with serve(reply(status, b""), certificate="good.example") as server:
        with pytest.raises(FetchFailed) as failed:
            await got(fetch_from(server))
    assert failed.value.status == status
    assert str(failed.value) == f"The URL answered {status}."


async def test_a_redirect_to_nowhere_fails() -> None:
    async with serve(reply(302, b""), certificate="good.example") as server:
        with pytest.raises(FetchFailed) as failed:
            await got(fetch_from(server))
    assert failed.value.status == 302


async def endless(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(bytes(4096))
        await writer.drain()


async def huge_length(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    await for_ever()


async def gzip_bomb(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(reply(200, gzip.compress(bytes(3_000_000)), Content_Encoding="gzip"))
    await reader.read()  # until the client has enough


def deflated(content: bytes, form: int) -> bytes:
    deflate = zlib.compressobj(wbits=form)
    return deflate.compress(content) + deflate.flush()


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300
CODED: dict[str, tuple[str, bytes]] = {
    "gzip": ("gzip", gzip.compress(PICTURE)),
    "gzip without a word": ("", gzip.compress(PICTURE)),
    "gzip twice": ("gzip", gzip.compress(gzip.compress(PICTURE))),
    "zlib": ("deflate", deflated(PICTURE, zlib.MAX_WBITS)),
    "bare deflate": ("deflate", deflated(PICTURE, -zlib.MAX_WBITS)),
    "gzip for the store, labelled by it": ("gzip, aws-chunked", gzip.compress(PICTURE)),
    **{
        f"a label that codes nothing: {label}": (label, PICTURE)
        for label in ("aws-chunked", "none", "binary", "UTF-8", "identity", "gzip", "deflate", "image/png")
    },
}


@pytest.mark.parametrize("name", CODED)
async def test_what_is_coded_is_inflated_and_a_wrong_label_ignored(name: str) -> None:
    label, body = CODED[name]
    async with serve(reply(200, body, Content_Encoding=label), certificate="good.example") as server:
        assert await got(fetch_from(server)) == PICTURE


@pytest.mark.parametrize("body", [b"", b"\x1f", b"\x1f\x8b", b"x"], ids=repr)
async def test_a_body_of_few_bytes_is_whole(body: bytes) -> None:
    async with serve(reply(200, body), certificate="good.example") as server:
        assert await got(fetch_from(server)) == body


@pytest.mark.parametrize("label", ["br", "zstd", "gzip, br", "compress"])
async def test_a_coding_that_cannot_be_undone_fails(label: str) -> None:
    async with serve(reply(200, PICTURE, Content_Encoding=label), certificate="good.example") as server:
        with pytest.raises(FetchFailed, match="compressed") as failed:
            await got(fetch_from(server))
    assert failed.value.final


async def test_a_broken_coding_fails() -> None:
    broken = gzip.compress(PICTURE)[:20] + bytes(100)
    async with serve(reply(200, broken), certificate="good.example") as server:
        with pytest.raises(FetchFailed, match="compressed and broken") as failed:
            await got(fetch_from(server))
    assert failed.value.final


async def test_the_cap_counts_what_is_inflated() -> None:
    """To the byte, and in pieces that are few bytes each."""
    exact, more = (gzip.compress(bytes(size)) for size in (MAX, MAX + 1))
    async with serve(reply(200, exact), reply(200, more), certificate="good.example") as server:
        fetch = fetch_from(server)
        assert await got(fetch) == bytes(MAX)
        with pytest.raises(FetchFailed, match=f"more than {MAX} bytes"):
            await got(fetch)


# An http URL is tried as https where what it brings is paid for


def upgrading(world: World, *allow: str) -> GuardedFetch:
    return GuardedFetch(allow, http_as_https=True, trust=trust(world))


@pytest.mark.parametrize("url", ["http://good.example/a.png?s=1", "http://good.example:8080/a.png?s=1"])
async def test_an_http_url_is_fetched_as_https(url: str) -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        world = World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})
        assert await got(upgrading(world), url) == b"x"
        with pytest.raises(UrlRefused, match="not an https URL"):
            await got(fetch_from(server), url)
    assert [call.line for call in server.calls] == ["GET /a.png?s=1 HTTP/1.1"]
    assert world.connected == [(PUBLIC, 443)]


async def test_a_redirect_to_http_is_followed_as_https() -> None:
    away = reply(302, b"", Location="http://good.example/b")
    async with serve(away, reply(200, b"x"), certificate="good.example") as server:
        world = World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})
        assert await got(upgrading(world)) == b"x"
    assert [port for _, port in world.connected] == [443, 443]


async def test_what_the_operator_allows_stays_http() -> None:
    async with serve(reply(200, b"x")) as server:
        assert await got(upgrading(World({}), f"127.0.0.1:{server.port}"), f"{server.url}/a") == b"x"


async def test_a_host_without_https_says_what_was_tried() -> None:
    for names in ({}, {"good.example": [(PUBLIC,)]}):
        with pytest.raises(FetchFailed, match="tried as https instead of http") as failed:
            await got(upgrading(World(names)), "http://good.example/a")
        assert failed.value.tried_as_https
        assert not failed.value.final


async def test_a_status_over_https_is_an_answer_like_any_other() -> None:
    async with serve(reply(404, b""), certificate="good.example") as server:
        world = World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})
        with pytest.raises(FetchFailed) as failed:
            await got(upgrading(world), "http://good.example/a")
    assert (failed.value.status, failed.value.tried_as_https) == (404, False)


async def drip(reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        leap(1)
        await asyncio.sleep(0)


async def hang(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    leap()
    await for_ever()


async def rst(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()
    await asyncio.sleep(0.02)
    reset(writer)


async def cut_short(reader: Reader, writer: Writer) -> None:
    await read_call(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    await writer.drain()


@pytest.mark.parametrize(
    ("handler", "final"),
    [
        (endless, True),
        (huge_length, True),
        (gzip_bomb, True),
        (drip, False),
        (hang, False),
        (rst, False),
        (cut_short, False),
    ],
    ids=lambda each: getattr(each, "__name__", str(each)),
)
async def test_a_bad_content_fails_in_time(handler: Handler, final: bool) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with serve_raw(handler, certificate="good.example") as server:
        with pytest.raises(FetchFailed) as failed:
            await got(fetch_from(server))
    assert loop.time() - started < 2 * LIMIT
    assert (failed.value.status, failed.value.final) == (None, final)
    assert server.connections == 1


async def test_the_cap_is_met_to_the_byte() -> None:
    async with serve(
        reply(200, bytes(MAX)), reply(200, bytes(MAX + 1)), certificate="good.example"
    ) as server:
        fetch = fetch_from(server)
        assert len(await got(fetch)) == MAX
        with pytest.raises(FetchFailed, match=f"more than {MAX} bytes"):
            await got(fetch)


async def test_a_body_cut_short_without_a_length_looks_whole() -> None:
    """Why the caller must decode all of it (PROMISES §3)."""

    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await writer.drain()

    async with serve_raw(handler, certificate="good.example") as server:
        assert await got(fetch_from(server)) == b"half"


async def test_the_content_streams() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        await writer.drain()
        await first.wait()
        writer.write(b"b")
        await writer.drain()

    first = asyncio.Event()
    async with (
        serve_raw(handler, certificate="good.example") as server,
        fetch_from(server).open("https://good.example/", max_bytes=2, limit_seconds=LIMIT) as fetched,
    ):
        seen = []
        async for chunk in fetched.chunks():
            seen.append(chunk)
            first.set()
    assert seen == [b"a", b"b"]


async def test_whoever_stops_reading_closes_the_connection() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\na")
        await writer.drain()
        await reader.read()
        gone.set()

    gone = asyncio.Event()
    async with serve_raw(handler, certificate="good.example") as server:
        with pytest.raises(KeyError):
            await _stop_at_the_first(fetch_from(server))
        await asyncio.wait_for(gone.wait(), LIMIT)


async def _stop_at_the_first(fetch: GuardedFetch) -> None:
    async with fetch.open("https://good.example/", max_bytes=MAX, limit_seconds=LIMIT) as fetched:
        async for _ in fetched.chunks():
            raise KeyError


async def test_a_cancelled_fetch_ends_at_once() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        arrived.set()
        await for_ever()

    arrived = asyncio.Event()
    async with serve_raw(handler, certificate="good.example") as server:
        task = asyncio.create_task(got(fetch_from(server)))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_name_without_an_address_fails() -> None:
    with pytest.raises(FetchFailed, match="no address"):
        await got(GuardedFetch(trust=trust(World({}))))


async def test_looking_up_counts_towards_the_limit() -> None:
    class Slow(World):
        async def resolve(self, host: str) -> tuple[str, ...]:
            leap()
            await for_ever()
            raise AssertionError

    with pytest.raises(FetchFailed, match="no address"):
        await got(GuardedFetch(trust=trust(Slow({}))))


@pytest.mark.parametrize("certificate", ["expired", "other.example"])
async def test_a_certificate_that_is_not_good_fails(certificate: str) -> None:
    async with serve(reply(200, b"x"), certificate=certificate) as server:
        with pytest.raises(FetchFailed, match="certificate is refused"):
            await got(fetch_from(server))
    assert server.calls == []


async def test_no_message_holds_the_url() -> None:
    secret = "https://good.example/canary?canary#canary"
    async with serve(
        reply(403, b"canary"),
        reply(302, b"", Location="https://canary@good.example/canary"),
        reply(302, b"", Location="https://canary..example/canary"),
        certificate="good.example",
    ) as server:
        fetch = fetch_from(server)
        for _ in range(3):
            with pytest.raises((FetchFailed, UrlRefused)) as failed:
                await got(fetch, secret)
            assert "canary" not in str(failed.value)


async def test_the_default_trust_is_the_public_one() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        world = World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})
        with pytest.raises(FetchFailed, match="certificate is refused"):
            await got(GuardedFetch(trust=Trust(network=world)))


def test_old_tls_and_unproved_hosts_are_refused() -> None:
    default = Trust().tls
    assert default.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert default.check_hostname
    assert default.verify_mode is ssl.CERT_REQUIRED
