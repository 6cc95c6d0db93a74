"""How many watches may be open, and how long: a budget of their own, so that they never starve other calls.

P13, F72. A watch also ends before the connection that it is on is closed for its age, since only then its
cursor, last-seq, gets to the client (P12).
"""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from imageedit_server.core.errors import Reason, Refusal

MAX_PER_CONNECTION = 800
"""Below the 1000 streams of a connection, so that there is room for calls beside the watches."""
MAX_PER_SERVER = 16_000
"""Some 500 MB of memory, at what an idle watch takes."""
LIFE_SECONDS = 1800.0
"""How long a watch lasts at most; each a little less, so that a crowd does not come back at one moment."""


class WatchBudget:
    """Counts open watches per connection, per tenant and in all; 0 is no limit."""

    def __init__(
        self,
        *,
        per_connection: int = MAX_PER_CONNECTION,
        per_tenant: int = 0,
        per_server: int = MAX_PER_SERVER,
    ) -> None:
        self._most = {"connection": per_connection, "tenant": per_tenant, "server": per_server}
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def spend(self, connection: str, tenant: str = "") -> Iterator[None]:
        """Hold a place while a watch is open. Raises WATCH_LIMIT at once when there is none."""
        places = (("connection", connection), ("tenant", tenant), ("server", ""))
        for place in places:
            most = self._most[place[0]]
            if most and self._open[place] >= most:
                raise Refusal(
                    Reason.WATCH_LIMIT,
                    f"This {place[0]} has {most} open watches, the most it may; close one first.",
                )
        for place in places:
            self._open[place] += 1
        try:
            yield
        finally:
            for place in places:
                self._open[place] -= 1
                if not self._open[place]:
                    del self._open[place]


def lifetime() -> float:
    """Return how many seconds a watch lasts that begins now."""
    return LIFE_SECONDS * random.uniform(0.9, 1.0)


def too_old() -> Refusal:
    """End a watch at the end of its lifetime: the next one may have a newer connection, and server."""
    return Refusal(Reason.DRAINING, "This watch is as old as a watch may get; resume it after last-seq.")
