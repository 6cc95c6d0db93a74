"""An OpenAI-style vendor that answers an edit at once, always with the same picture: as light as can be.

``python -m tests.bench.vendor FOLDER`` answers ``/NAME/v1/images/edits`` with the folder's file ``NAME``.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

HEAD_END = b"\r\n\r\n"
READ_AHEAD = 4 * 1024 * 1024


async def serve(answers: Mapping[str, bytes]) -> None:
    """Serve until killed."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                writer.write(await _read_request(reader, answers))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=READ_AHEAD)
    print(f"ready http=127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def _read_request(reader: asyncio.StreamReader, answers: Mapping[str, bytes]) -> bytes:
    """Read one request to its end, by its length or by its chunks; return its answer."""
    asked, *lines = (await reader.readuntil(HEAD_END)).decode("latin-1").lower().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(fields.get("content-length", "0")))
    return answers[asked.split("/")[1]]


def _answer(picture: bytes) -> bytes:
    body = json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]})
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


if __name__ == "__main__":
    asyncio.run(serve({path.name: _answer(path.read_bytes()) for path in Path(sys.argv[1]).iterdir()}))
