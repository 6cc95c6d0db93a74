"""One gate per provider: how many tasks it may have, how fast it may be paid, and whether it is well.

One provider's trouble never stops another's tasks: each gate knows only its own.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from imageedit_server.core.errors import FailureReason
from imageedit_server.engine.breaker import Breakers
from imageedit_server.providers.base import Ambiguous, NotProcessed, ProviderOptions, SubmitError
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.claims import HeldBack

_PACE = re.compile(r"(?P<calls>[1-9][0-9]*)/(?P<seconds>[1-9][0-9]*)s")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``calls`` in any ``seconds``."""

    calls: int
    seconds: float


def parse_rate(text: str) -> Rate | None:
    """Read ``18/10s``; None for the empty text, which is no limit. Raises ``ValueError`` with a sentence."""
    if not text:
        return None
    match = _PACE.fullmatch(text)
    if match is None:
        raise ValueError("must be CALLS/SECONDSs, such as 18/10s")
    return Rate(int(match["calls"]), float(match["seconds"]))


class Pace:
    """Lets paid calls through a sliding window, in the order in which they came."""

    def __init__(
        self, rate: Rate | None, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._monotonic = monotonic
        self._due: deque[float] = deque()

    async def wait(self) -> None:
        """Return when the next call may be made. A caller that is cancelled has used its place up."""
        if self._rate is None:
            return
        now = self._monotonic()
        due = now
        if len(self._due) >= self._rate.calls:
            due = max(now, self._due.popleft() + self._rate.seconds)
        self._due.append(due)
        if due > now:
            await self._clock.sleep(due - now)


class Gate:
    """What stands between the queue and one provider."""

    def __init__(
        self, options: ProviderOptions, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._concurrency = options.concurrency
        self.breakers = Breakers(monotonic)
        self.pace = Pace(parse_rate(options.max_submits), clock, monotonic)

    def places(self, busy: int) -> int:
        """Return how many more tasks the provider may have, beside the ``busy`` ones."""
        return max(self._concurrency - busy, 0)

    def submits(self, busy: int) -> int:
        """Return how many more tasks may begin to pay the provider."""
        allowed = self.breakers.allows()
        return self.places(busy) if allowed is None else min(allowed, self.places(busy))

    def held_back(self) -> HeldBack:
        """Return whose tasks may not begin to pay the provider, and why."""
        return HeldBack(
            submits_by_tenant=self.breakers.allows_each(),
            failure_by_tenant=self.breakers.failures_each(),
            failure=self.breakers.failure_for_all(),
        )

    def record(self, tenant: str, error: SubmitError | None) -> None:
        """Learn from the end of a paid call for ``tenant``: only the vendor's own trouble counts.

        That is no answer, or an error of its servers that no code explains (PROMISES §2). A wrong path or
        key is the operator's trouble, and a refusal is nobody's.
        """
        failed = error is not None and error.vendor_trouble and _is_trouble(error)
        self.breakers.record(tenant, failed=failed, failure=error.failure if error else None)


def _is_trouble(error: SubmitError) -> bool:
    unavailable = error.failure.reason is FailureReason.PROVIDER_UNAVAILABLE
    return isinstance(error, Ambiguous) or (isinstance(error, NotProcessed) and unavailable)
