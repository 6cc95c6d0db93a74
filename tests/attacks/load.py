"""How much an attack sends, to where, and until when."""

import asyncio
import time
from dataclasses import dataclass

BYTES_PER_SECOND = 2_000_000
UNLIMITED_CONNECTIONS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """To the two doors of a server, until ``end`` by the monotonic clock. A rate of 0 is no limit."""

    grpc: str
    http: str
    end: float
    bytes_per_second: int = BYTES_PER_SECOND
    connections: int = 1

    def is_over(self) -> bool:
        """Whether it is time to stop."""
        return time.monotonic() >= self.end


class Throttle:
    """Keeps all connections of a sender together at the rate of its load, and counts what they sent."""

    def __init__(self, load: Load) -> None:
        self.sent_bytes = 0
        self._load = load
        self._began = time.monotonic()

    def count(self, size: int) -> None:
        """Count bytes that go whatever the rate is."""
        self.sent_bytes += size

    async def sent(self, size: int) -> None:
        """Count ``size`` bytes; return when the next may be sent."""
        self.count(size)
        rate = self._load.bytes_per_second
        due = self._began + self.sent_bytes / rate if rate else 0.0
        await asyncio.sleep(max(min(due, self._load.end) - time.monotonic(), 0))
