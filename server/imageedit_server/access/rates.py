"""How often a tenant may call: a bucket of tokens for each, which holds one second's worth."""

import time
from collections.abc import Callable

from imageedit_server.core.errors import Reason, Refusal


class RequestRates:
    """Counts calls by tenant. ``per_second`` 0 is no limit; ``clock`` is in seconds and never goes back."""

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._tokens: dict[str, tuple[float, float]] = {}
        """Tokens of each tenant, and when it had them."""

    def spend(self, tenant: str) -> None:
        """Take a token. Raises QUOTA_EXCEEDED with the time until there is one."""
        if not self._per_second:
            return
        now, most = self._clock(), max(self._per_second, 1.0)
        left, then = self._tokens.get(tenant, (most, now))
        left = min(most, left + (now - then) * self._per_second)
        if left < 1:
            raise Refusal(
                Reason.QUOTA_EXCEEDED,
                f"More than {self._per_second:g} requests per second, the most that is allowed; wait.",
                retry_after_seconds=(1 - left) / self._per_second,
            )
        self._tokens[tenant] = (left - 1, now)
