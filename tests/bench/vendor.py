"""An OpenAI-style vendor that answers every edit at once with the same picture: a server as light as can be.

``python -m tests.bench.vendor PICTURE`` answers the bytes of that file.
"""

import asyncio
import base64
import json
import sys
from contextlib import suppress
from pathlib import Path

HEAD_END = b"\r\n\r\n"


async def serve(picture: bytes) -> None:
    """Serve until killed."""
    answer = _answer(json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]}))

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await _read_request(reader)
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    print(f"ready http=127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def _read_request(reader: asyncio.StreamReader) -> None:
    """Read one request to its end, by its length or by its chunks."""
    head = (await reader.readuntil(HEAD_END)).decode("latin-1").lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(fields.get("content-length", "0")))


def _answer(body: str) -> bytes:
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]).read_bytes()))
