"""The little HTTP server under every vendor server, and its misbehaviours on the socket."""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from tests.vendors import serving
from tests.vendors.serving import Answer, BadForm, Request, Response, read_form, serve

REPLY = Response(body=b'{"a": "honest reply"}')


async def echo(request: Request) -> Answer:
    return Response(body=request.body, media_type=request.headers.get("content-type", ""))


async def test_requests_and_replies_are_whole() -> None:
    async with serve(echo) as url, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for body in (b"", b"x" * 1_000_000):
            reply = await client.post(f"{url}/a?b=c", content=body, headers={"Content-Type": "text/x"})
            assert (reply.status_code, reply.content) == (200, body)


async def test_a_body_in_pieces_is_sent_chunked() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        yield b"data: 2\n\n"

    async def handler(_request: Request) -> Answer:
        return Response(body=pieces(), media_type="text/event-stream")

    async with serve(handler) as url, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        reply = await client.get(url)
        assert reply.text == "data: 1\n\ndata: 2\n\n"
        assert reply.headers["transfer-encoding"] == "chunked"


async def test_a_form_is_read_as_it_was_sent() -> None:
    forms: list[Request] = []

    async def handler(request: Request) -> Answer:
        forms.append(request)
        return Response()

    content = bytes(range(256)) + b"\r\n--x\r\n\r\n"
    async with serve(handler) as url, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        await client.post(url, data={"b": "文"}, files={"a": ("图.png", content, "image/png")})
    plain, file = read_form(forms[0])
    assert (plain.name, plain.file_name, plain.media_type, plain.content) == ("b", None, "", "文".encode())
    assert (file.name, file.file_name, file.media_type) == ("a", "图.png", "image/png")
    assert file.content == content


@pytest.mark.parametrize(
    "body", [b"", b"--x--", b"--x\r\n\r\n\r\n--x--\r\n", b"junk--x\r\n", b"--x\r\na: b\r\n\r\nc\r\n--y--\r\n"]
)
def test_a_bad_form_is_refused(body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}
    with pytest.raises(BadForm):
        read_form(Request(method="POST", path="/", query={}, headers=headers, body=body))


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (serving.hang, httpx.ReadTimeout),
        (serving.reset, httpx.ReadError),
        (serving.hang_up, httpx.RemoteProtocolError),
        (serving.not_http, httpx.RemoteProtocolError),
        (serving.endless_headers, httpx.RemoteProtocolError),
        (serving.cut(REPLY), httpx.RemoteProtocolError),
        (serving.reset_within(REPLY), httpx.ReadError),
    ],
    ids=["hang", "reset", "hang up", "not HTTP", "endless headers", "cut", "reset within"],
)
async def test_each_misbehaviour_is_what_it_says(wire: serving.Wire, error: type[Exception]) -> None:
    async def handler(_request: Request) -> Answer:
        return wire

    async with serve(handler) as url, httpx.AsyncClient(trust_env=False, timeout=0.2) as client:
        with pytest.raises(error):
            await client.get(url)


@pytest.mark.parametrize("drip", [serving.drip, serving.drip_body])
async def test_a_drip_brings_the_honest_reply_in_the_end(
    drip: Callable[[Response, float], serving.Wire],
) -> None:
    async def handler(_request: Request) -> Answer:
        return drip(REPLY, 0.0)

    async with serve(handler) as url, httpx.AsyncClient(trust_env=False, timeout=60) as client:
        assert (await client.get(url)).json() == {"a": "honest reply"}


async def test_ending_does_not_wait_for_a_client_that_hangs_on(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(echo) as url:
        client = httpx.AsyncClient(trust_env=False, timeout=60)
        await client.get(url)
    await client.aclose()
    await asyncio.sleep(0)
    assert [record for record in caplog.records if record.name == "asyncio"] == []
