"""A stranger's metadata that grows from 8 KB to 8 000 entries, sent to a proxy for a while."""

import asyncio
import time
from contextlib import suppress

from imageedit_client import AsyncClient
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc import http2
from tests.rpc.http2 import END_HEADERS, HEADERS, frame, head

SECONDS = 2.0
REFERENCES = 8000
PAUSE_SECONDS = 0.004
"""Between two bombs: 2 MB/s."""


async def bombard(client: AsyncClient, address: str) -> tuple[float, int]:
    """Send for ``SECONDS``, while ``client`` asks; return its slowest answer, and how many were sent."""
    end = time.monotonic() + SECONDS
    sent, slowest = await asyncio.gather(_send(address, end), _slowest(client, end))
    return slowest, sent


def dropped() -> float:
    """Return how many calls the server in this process had to let go of."""
    return REGISTRY.get_sample_value("imageedit_calls_dropped_total") or 0


async def _send(address: str, end: float) -> int:
    sent = 0
    while time.monotonic() < end:
        with suppress(OSError):
            async with http2.peer(address) as stranger:
                stream = 1
                while time.monotonic() < end and not stranger.ended:
                    await stranger.send(_bomb(stream))
                    stream, sent = stream + 2, sent + 1
                    await asyncio.sleep(PAUSE_SECONDS)
    return sent


def _bomb(stream: int) -> bytes:
    entries = http2.remembered([(b"k", b"v" * 100)]) if stream == 1 else b""
    block = http2.block(head()) + entries + http2.NEWEST * REFERENCES
    return frame(HEADERS, block, stream=stream, flags=END_HEADERS)


async def _slowest(client: AsyncClient, end: float) -> float:
    longest = 0.0
    while time.monotonic() < end:
        began = time.monotonic()
        await client.list_models()
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.01)
    return longest
