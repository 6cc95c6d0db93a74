"""How many watches may be open: a budget of their own, so that they never starve other calls (P13, F72)."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from imageedit_server.core.errors import Reason, Refusal

MAX_PER_CONNECTION = 800
"""Below the 1000 streams of a connection, so that there is room for calls beside the watches."""


class WatchBudget:
    """Counts open watches per connection and per tenant."""

    def __init__(self, max_per_tenant: int) -> None:
        self._max_per_tenant = max_per_tenant
        self._open: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def spend(self, connection: str, tenant: str) -> Iterator[None]:
        """Hold a place while a watch is open. Raises WATCH_LIMIT at once when there is none."""
        places = (("connection", connection), ("tenant", tenant))
        for place, most in zip(places, (MAX_PER_CONNECTION, self._max_per_tenant), strict=True):
            if most and self._open[place] >= most:
                raise Refusal(
                    Reason.WATCH_LIMIT,
                    f"This {place[0]} has {most} open watches, the most it may; close one first.",
                )
        self._open.update(places)
        try:
            yield
        finally:
            self._open.subtract(places)
            self._open += Counter()  # drops what is back at zero
