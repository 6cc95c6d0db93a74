"""How fast a caller sends: bytes over the time in which he is waited for, not over what we do with them."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

KIB = 1024
LEAST_BYTES_PER_SECOND = 16 * KIB
GRACE_SECONDS = 10.0
"""Over so long the pace is measured; before that nobody is slow."""
_MARKS = 20


class Pace:
    """What came in the last ``GRACE_SECONDS`` of waiting: a fast beginning does not pay for a slow rest."""

    def __init__(self) -> None:
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._size_bytes = 0
        self._marks = deque([(0.0, 0)])

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for the caller in the block. Outside of it no time passes for him."""
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waited = self._now()
            self._waiting_since = None

    def came(self, size_bytes: int) -> None:
        """Note that bytes came."""
        self._size_bytes += size_bytes
        if self._waited - self._marks[-1][0] >= GRACE_SECONDS / _MARKS:
            self._marks.append((self._waited, self._size_bytes))

    def bytes_per_second(self) -> float | None:
        """Return the pace now, None while it is too early to tell or nothing is waited for."""
        now = self._now()
        if self._waiting_since is None or now < GRACE_SECONDS:
            return None
        while len(self._marks) > 1 and self._marks[1][0] <= now - GRACE_SECONDS:
            self._marks.popleft()
        since, size_bytes = self._marks[0]
        return (self._size_bytes - size_bytes) / (now - since)

    def _now(self) -> float:
        running = 0.0 if self._waiting_since is None else time.monotonic() - self._waiting_since
        return self._waited + running
