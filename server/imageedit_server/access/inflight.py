"""How many bytes of pictures may be inside requests at once, per tenant and in all (F82).

A request is in memory as it came until its call ends, whatever is done with its pictures; so its bytes are
counted before anything is made of them, and it is refused where others have taken what there is.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from imageedit_server.core.errors import Reason, Refusal

MIB = 1024 * 1024
TENANT_BYTES = 64 * MIB
SERVER_BYTES = 256 * MIB
RETRY_SECONDS = 1.0


class BytesInFlight:
    """Counts the bytes of running calls per tenant and in all; 0 is no limit."""

    def __init__(self, *, per_tenant: int = TENANT_BYTES, per_server: int = SERVER_BYTES) -> None:
        self._most = {"tenant": per_tenant, "server": per_server}
        self._taken: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def spend(self, tenant: str, size_bytes: int) -> Iterator[None]:
        """Count bytes until the block ends. Raises QUOTA_EXCEEDED at once where there is no room for them."""
        places = (("tenant", tenant), ("server", "")) if size_bytes else ()
        for place in places:
            most = self._most[place[0]]
            if most and self._taken[place] + size_bytes > most:
                raise _exhausted(place[0], most)
        for place in places:
            self._taken[place] += size_bytes
        try:
            yield
        finally:
            for place in places:
                self._taken[place] -= size_bytes
                if not self._taken[place]:
                    del self._taken[place]


def _exhausted(whose: str, most: int) -> Refusal:
    return Refusal(
        Reason.QUOTA_EXCEEDED,
        f"The pictures inside this {whose}'s running calls have {most} bytes together, the most they may; try"
        " again, or upload them.",
        retry_after_seconds=RETRY_SECONDS,
    )
