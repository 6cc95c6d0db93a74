"""Those without a key: frames by hand, and connections that only wait."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from tests.attacks.load import Load, Throttle
from tests.rpc import http2
from tests.rpc.attacks import Attack
from tests.rpc.http2 import SETTINGS, frame

GRPC, HTTP = "grpc", "http"
AT_ONCE_BYTES = 16_384
"""As much as a packet or a few would bring."""
BEGIN = http2.PREFACE + frame(SETTINGS)
HALF_REQUEST = b"POST /callbacks/kie/" + b"a" * 43 + b" HTTP/1.1\r\nHost: x\r\nContent-Le"
CONNECTION_BYTES = 400
"""What opening and closing one takes on the wire: seven packets."""
MOST_CONNECTIONS = 2_000
"""More than the server takes: it is given 1 024 descriptors."""


async def frames(attack: Attack, load: Load) -> int:
    """Send an attack over each connection of the load, on a new one where the server ends it."""
    throttle = Throttle(load)
    await asyncio.gather(*(_frames(attack, load, throttle) for _ in range(load.connections)))
    return throttle.sent_bytes


async def _frames(attack: Attack, load: Load, throttle: Throttle) -> None:
    while not load.is_over():
        with suppress(OSError, TimeoutError):
            async with http2.peer(load.grpc) as stranger:
                for piece in joined(attack()):
                    async with asyncio.timeout_at(load.end):
                        await stranger.send(piece)
                    await throttle.sent(len(piece))
                    if stranger.ended or load.is_over():
                        break


def joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join pieces until they are ``AT_ONCE_BYTES`` or more."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= AT_ONCE_BYTES:
            yield bytes(held)
            held.clear()


async def connections(door: str, opening: bytes, load: Load, *, at_most: int) -> int:
    """Open connections, say ``opening`` on each and no more; where the server ends one, open another."""
    throttle = Throttle(load)
    host, port = (load.grpc if door == GRPC else load.http).split(":")
    waiting: set[asyncio.Task[None]] = set()
    while not load.is_over():
        waiting = {each for each in waiting if not each.done()}
        if len(waiting) < at_most:
            waiting.add(asyncio.create_task(_wait(host, int(port), opening)))
        await throttle.sent(len(opening) + CONNECTION_BYTES)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return throttle.sent_bytes


async def _wait(host: str, port: int, opening: bytes) -> None:
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(opening)
            while await reader.read(65_536):
                pass
        finally:
            writer.transport.abort()
