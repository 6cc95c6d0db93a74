"""Circuit breakers: a provider that is unwell is left alone, for one tenant or for all (P15).

The failures of one tenant open the breaker for that tenant alone, since they may be of his requests'
making. Those of two or more open it for all.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from imageedit_server.core.failure import Failure

OPEN_SECONDS = 30.0
WINDOW_SECONDS = 30.0
MAX_CONSECUTIVE = 5
MIN_CALLS = 20
MAX_FAILED_SHARE = 0.5

FOR_ALL = 2
"""From how many tenants failures must come to be the provider's and nobody's own."""


@dataclass(frozen=True, slots=True)
class _Call:
    time: float
    failed: bool
    tenant: str


class Breaker:
    """Opens when a provider is unwell, and leaves it alone; then lets one task look.

    A task waits in the queue while its breaker is open; work that was accepted before is polled all the
    same. ``monotonic`` gives seconds that only rise; failures of fewer than ``least_tenants`` within the
    window do not open it.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, *, least_tenants: int = 1) -> None:
        self._monotonic = monotonic
        self._least_tenants = least_tenants
        self._calls: deque[_Call] = deque()
        self._consecutive = 0
        self._open_until: float | None = None
        """None while it is closed: 0 is a time like any other on a machine that has just been started."""
        self._probing = False
        self.failure: Failure | None = None
        """What opened it, or kept it open; None while it is closed."""
        self.failed_tenant = ""

    @property
    def is_open(self) -> bool:
        """Whether it is open, be it that a task may look by now."""
        return self._open_until is not None

    @property
    def is_idle(self) -> bool:
        """Whether it would do the same if it were made anew."""
        return not self.is_open and not self._consecutive and not self._recent(self._monotonic())

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

    def record(self, *, failed: bool, tenant: str = "", failure: Failure | None = None) -> None:
        """A paid call ended. Refusals are not failures: a vendor that refuses is well."""
        now = self._monotonic()
        if not failed:
            self._close_if_open()
        self._consecutive = self._consecutive + 1 if failed else 0
        self._calls.append(_Call(now, failed, tenant))
        if failed and (self.is_open or self._is_unwell(now)):
            self._open_until = now + OPEN_SECONDS
            self.failure, self.failed_tenant = failure, tenant

    def _close_if_open(self) -> None:
        if self._open_until is not None:
            self._open_until = None
            self._probing = False
            self.failure = None
            self._calls.clear()

    def _is_unwell(self, now: float) -> bool:
        calls = self._recent(now)
        failures = [call for call in calls if call.failed]
        if len({call.tenant for call in failures}) < self._least_tenants:
            return False
        many = len(calls) >= MIN_CALLS and len(failures) >= MAX_FAILED_SHARE * len(calls)
        return many or self._consecutive >= MAX_CONSECUTIVE

    def _recent(self, now: float) -> deque[_Call]:
        """Forget the calls that were before the window; return the others."""
        while self._calls and self._calls[0].time < now - WINDOW_SECONDS:
            self._calls.popleft()
        return self._calls


class Breakers:
    """The breakers of one provider: one for all tenants, and one for each."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._all = Breaker(monotonic, least_tenants=FOR_ALL)
        self._each: dict[str, Breaker] = {}

    @property
    def is_open(self) -> bool:
        """Whether somebody's tasks wait, or probe."""
        return self._all.is_open or any(breaker.is_open for breaker in self._each.values())

    @property
    def tenants(self) -> Collection[str]:
        """Those of whom something is remembered."""
        return self._each.keys()

    def allows(self) -> int | None:
        """Return how many new tasks may start, of whatever tenant; None for any number."""
        return self._all.allows()

    def allows_each(self) -> Mapping[str, int]:
        """Return the tenants of whom fewer than any number of new tasks may start, and how many."""
        found = {tenant: breaker.allows() for tenant, breaker in self._each.items()}
        return {tenant: allowed for tenant, allowed in found.items() if allowed is not None}

    def begin(self, tenant: str) -> tuple[Breaker, ...]:
        """A new task of ``tenant`` was let through; return the breakers that it probes, to be left."""
        breakers = (self._all, *filter(None, [self._each.get(tenant)]))
        return tuple(breaker for breaker in breakers if breaker.begin())

    def record(self, tenant: str, *, failed: bool, failure: Failure | None = None) -> None:
        """A paid call for ``tenant`` ended."""
        self._all.record(failed=failed, tenant=tenant, failure=failure)
        self._each.setdefault(tenant, Breaker(self._monotonic)).record(
            failed=failed, tenant=tenant, failure=failure
        )
        self._each = {name: breaker for name, breaker in self._each.items() if not breaker.is_idle}

    def failures_each(self) -> Mapping[str, Failure]:
        """Return what opened the breaker that stands before a tenant, where it was his own failure."""
        shared = (self._all.failed_tenant, self._all.failure)
        own = ((tenant, breaker.failure) for tenant, breaker in self._each.items())
        return {tenant: failure for tenant, failure in (shared, *own) if failure is not None}

    def failure_for_all(self) -> Failure | None:
        """Return what opened the breaker that stands before everybody, in our own words alone.

        The vendor's may repeat the request of the tenant that it failed.
        """
        return self._all.failure and replace(self._all.failure, provider_message="")
