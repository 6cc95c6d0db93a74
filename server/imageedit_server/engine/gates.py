"""One gate per provider: how many tasks it may have, how fast it may be paid, and whether it is well.

One provider's trouble never stops another's tasks: each gate knows only its own.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from imageedit_server.core.errors import FailureReason
from imageedit_server.providers.base import Ambiguous, NotProcessed, ProviderOptions, SubmitError
from imageedit_server.runtime.clock import Clock

OPEN_SECONDS = 30.0
WINDOW_SECONDS = 30.0
MAX_CONSECUTIVE = 5
MIN_CALLS = 20
MAX_FAILED_SHARE = 0.5

_PACE = re.compile(r"(?P<calls>[1-9][0-9]*)/(?P<seconds>[1-9][0-9]*)s")


class Breaker:
    """Opens when a provider is unwell, and leaves it alone; then lets one task look (P15).

    A task waits in the queue while its provider's breaker is open; work that was accepted before is polled
    all the same. ``monotonic`` gives seconds that only rise.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._calls: deque[tuple[float, bool]] = deque()
        self._consecutive = 0
        self._open_until: float | None = None
        """None while it is closed: 0 is a time like any other on a machine that has just been started."""
        self._probing = False

    def allows(self) -> int | None:
        """Return how many new tasks may start: 0 while open, 1 to probe, None for any number."""
        if self._open_until is None:
            return None
        return 0 if self._probing or self._monotonic() < self._open_until else 1

    def begin(self) -> bool:
        """A new task was let through; behind an open breaker it is the probe. Say whether it is."""
        self._probing = self._open_until is not None
        return self._probing

    def leave(self) -> None:
        """The probe is gone, with or without a paid call."""
        self._probing = False

    def record(self, *, failed: bool) -> None:
        """A paid call ended. Refusals are not failures: a vendor that refuses is well."""
        now = self._monotonic()
        if not failed:
            self._close_if_open()
        self._consecutive = self._consecutive + 1 if failed else 0
        self._calls.append((now, failed))
        while self._calls[0][0] < now - WINDOW_SECONDS:
            self._calls.popleft()
        if failed and (self._open_until is not None or self._is_unwell()):
            self._open_until = now + OPEN_SECONDS

    def _close_if_open(self) -> None:
        if self._open_until is not None:
            self._open_until = None
            self._probing = False
            self._calls.clear()

    def _is_unwell(self) -> bool:
        failures = sum(failed for _, failed in self._calls)
        many = len(self._calls) >= MIN_CALLS and failures >= MAX_FAILED_SHARE * len(self._calls)
        return many or self._consecutive >= MAX_CONSECUTIVE


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
        self.breaker = Breaker(monotonic)
        self.pace = Pace(parse_rate(options.max_submits), clock, monotonic)

    def places(self, busy: int) -> int:
        """Return how many more tasks the provider may have, beside the ``busy`` ones."""
        return max(self._concurrency - busy, 0)

    def submits(self, busy: int) -> int:
        """Return how many more tasks may begin to pay the provider."""
        allowed = self.breaker.allows()
        return self.places(busy) if allowed is None else min(allowed, self.places(busy))

    def record(self, error: SubmitError | None) -> None:
        """Learn from the end of a paid call: only transport failures and the vendor's own errors count."""
        unavailable = (
            isinstance(error, NotProcessed) and error.failure.reason is FailureReason.PROVIDER_UNAVAILABLE
        )
        self.breaker.record(failed=unavailable or isinstance(error, Ambiguous))
