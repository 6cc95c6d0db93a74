"""Targets with a server: raw bytes to both doors of a whole one, in this process."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.fuzz.fuzzing import Attack, Target
from tests.rpc.calls import METHODS
from tests.rpc.serving import NARROW, SCRIPTED, serving
from tests.rpc.test_fuzz import assert_survives, sound
from tests.rpc.world import World, build_world

PATIENCE_SECONDS = 30.0
STATUS = re.compile(rb"HTTP/1\.1 ([1-4][0-9][0-9]) ")
KIE = """
[providers.kie]
adapter = "kie"
api_key = "k"
callback_hmac_key = "h"
"""


# The HTTP door: an answer below 500 or none, and never a connection that hangs


@asynccontextmanager
async def _http() -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), SCRIPTED, KIE) as served:
            host, port = served.server.http_address.rsplit(":", 1)

            async def said(data: bytes) -> bytes:
                reader, writer = await asyncio.open_connection(host, int(port))
                try:
                    with suppress(ConnectionError):  # closed on us is an answer too
                        writer.write(data)
                        writer.write_eof()
                        async with asyncio.timeout(PATIENCE_SECONDS):
                            return await reader.read()
                finally:
                    writer.close()
                return b""

            async def attack(data: bytes) -> None:
                answer = await said(data)
                assert not answer or STATUS.match(answer), answer[:200]

            yield attack
            assert b" 200 OK" in await said(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")


def _post(path: bytes, body: bytes, *headers: bytes) -> bytes:
    head = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join([*head, b"", body])


HTTP = Target(
    name="HTTP door",
    opened=_http,
    seeds=[
        _post(
            b"/callbacks/kie/" + b"a" * 43, b'{"data": {"taskId": "t"}}', b"Content-Type: application/json"
        ),
        _post(
            b"/callbacks/kie/token",
            b'{"taskId": "t"}',
            b"X-Webhook-Timestamp: 1795000000",
            b"X-Webhook-Signature: c2lnbmF0dXJl",
        ),
        _post(b"/callbacks/scripted/token", b""),
        b"POST /callbacks/kie/t HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b'5\r\n{"a":\r\n2\r\n1}\r\n0\r\n\r\n',
        b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    words=[
        b"Transfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Expect: 100-continue\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
        b"HTTP/1.0",
        b"HTTP/2.0",
        b"PRI * ",
        b"/../",
        b"%00",
        b"%c0%ae",
        b"\r\n\r\n",
        b"ffffffff\r\n",
        b"X-Webhook-Timestamp: nan\r\n",
        b"X-Webhook-Signature: \xff\xfe\r\n",
        b'{"data": ' + b"[" * 200,
    ],
    executions=1_500,
)


# The gRPC door: a status that input can bring about. The first byte chooses the method


@asynccontextmanager
async def _grpc() -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), SCRIPTED, NARROW) as served:
            await build_world(served)

            async def attack(data: bytes) -> None:
                name = NAMES[(data[0] if data else 0) % len(NAMES)]
                body = data[1:]
                bodies = [body[:7], body[7:]] if METHODS[name].client_streaming else [body]
                await assert_survives(served, name, bodies)

            yield attack


NAMES = sorted(METHODS)
NOBODY = World(
    png=f"sha256:{0:064x}",
    jpeg="",
    mask="",
    finished=f"task_{0:032x}",
    unfinished="",
    failed="",
    cancelled="",
    last_seq=1,
)

GRPC = Target(
    name="gRPC door",
    opened=_grpc,
    seeds=[
        bytes([number]) + b"".join(message.SerializeToString() for message in sound(name, NOBODY))
        for number, name in enumerate(NAMES)
    ],
    words=[
        b"\x0a",
        b"\x12\x80",
        b"\xff" * 10,
        b"\x80" * 11,
        b"\x0b\x0c",
        b"\x7a\xff\xff\xff\xff\x0f",
        b"\xc0\xaf",
    ],
    executions=800,
)

DOORS = (HTTP, GRPC)
