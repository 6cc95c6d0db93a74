"""The callers of HTTP: as light as Python allows, so that the cores are left to those who are measured.

Bare streams, a connection for each caller: at 27 KB they take a fifth less processor time than aiohttp, and a
seventh of httpx's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import orjson
import pybase64

from tests.bench.pictures import Picture

PROMPT = "make it black and white"
PATH = "/v1/images/edits"
HEAD_END = b"\r\n\r\n"
BOUNDARY = "7d1b3c5f9e2a4806"
READ_AHEAD = 4 * 1024 * 1024

Edit = Callable[[], Awaitable[bytes]]
"""Asks for an edit; returns the picture that came of it."""


@asynccontextmanager
async def http_caller(
    address: str, headers: Mapping[str, str], model: str, picture: Picture, path: str = PATH
) -> AsyncIterator[Edit]:
    """Open a connection of its own to an OpenAI-style server. A refused edit raises ``RuntimeError``."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=READ_AHEAD)
    request = _request(path, {"host": address, **headers}, _form(model, picture))

    async def edit() -> bytes:
        writer.write(request)
        answer = orjson.loads(await _answer(reader))
        return pybase64.b64decode(answer["data"][0]["b64_json"])

    try:
        yield edit
    finally:
        writer.close()


def _form(model: str, picture: Picture) -> bytes:
    """The edit as a form."""
    fields = {"model": model, "prompt": PROMPT, "response_format": "b64_json"}
    words = "".join(
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = (
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="image"; filename="picture.{picture.key}"\r\n'
        f"content-type: {picture.media_type}\r\n\r\n"
    )
    return b"".join([words.encode(), file.encode(), picture.content, f"\r\n--{BOUNDARY}--\r\n".encode()])


def _request(path: str, headers: Mapping[str, str], form: bytes) -> bytes:
    about = {
        **headers,
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(form)),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in about.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + form


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer to its end, by its length or by its chunks; return its body."""
    status, *lines = (await reader.readuntil(HEAD_END)).decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    if fields.get("transfer-encoding") == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(fields["content-length"]))
    if status.split()[1] != "200":
        raise RuntimeError(f"an edit was answered {status}: {body[:500].decode(errors='replace')}")
    return body


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int(await reader.readline(), 16):
        chunks.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(chunks)
