"""The places of the worker pool: who is let in when one is free (P18).

What is paid for comes first; then tenants take turns, by the time that their jobs took and not by their
number: while others wait, one gets at most half of the workers' time, whatever its pictures cost. The line
that callers stand in is bounded, and who finds it full is told when to come back.
"""

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import IntEnum

from imageedit_server.core.errors import Reason, Refusal


class Lane(IntEnum):
    """Where a job waits for its place.

    Results are served first; else tenants take turns, whatever they wait for, so that no tenant's tasks hold
    up another's uploads. Of one tenant the lanes are served in this order.
    """

    RESULTS = 0
    """What was paid for and must come home: it waits for no upload, whoever sends them (P6)."""
    TASKS = 1
    """What tasks need that are under way. How many those are is the engine's business: none is refused."""
    UPLOADS = 2
    """What a caller waits for, uploaded or inline: so many at a time, the next is refused."""


MOST_WAITING = 64
"""How many uploads of one tenant may wait: more than may be sent at once."""
MOST_OF_ALL = 256
"""How many of all may, divided among the tenants that wait."""
LEAST_WAITING = 4
"""How many of each may, however many tenants there are."""
RETRY_SECONDS = 5.0


class Places:
    """So many places, as a semaphore has them, with lanes in front of them.

    One that is given back goes straight to whose turn it is. A caller that is cancelled while it waits loses
    nothing of it to nobody: a place that it was given in the same moment goes on to the next. ``clock`` is in
    seconds and never goes back.
    """

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = count
        self._lines: dict[Lane, _Line] = {lane: {} for lane in Lane}
        self._used = _Used(clock)

    @asynccontextmanager
    async def hold(self, lane: Lane, tenant: str = "") -> AsyncIterator[None]:
        """Wait for a place in ``lane`` and hold it until the block ends.

        Raises ``Refusal`` (QUOTA_EXCEEDED) where as many uploads of the tenant's wait as may.
        """
        with self._used.presence(tenant):
            await self._take(lane, tenant)
            try:
                with self._used.measured(tenant):
                    yield
            finally:
                self._give_back()

    async def _take(self, lane: Lane, tenant: str) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        line = self._lines[lane]
        if lane is Lane.UPLOADS:
            _refuse_too_many(line, tenant)
        turn = asyncio.get_running_loop().create_future()
        line.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                _leave(line, tenant, turn)
            else:
                self._give_back()
            raise

    def _give_back(self) -> None:
        while (line_and_tenant := self._next()) is not None:
            line, tenant = line_and_tenant
            turn = line[tenant][0]
            _leave(line, tenant, turn)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _next(self) -> "tuple[_Line, str] | None":
        for lanes in _ORDER:
            waiting = [(self._lines[lane], tenant) for lane in lanes for tenant in self._lines[lane]]
            if waiting:
                return min(waiting, key=lambda each: self._used.rank(each[1]))
        return None


_ORDER = ((Lane.RESULTS,), (Lane.TASKS, Lane.UPLOADS))
_Line = dict[str, deque[asyncio.Future[None]]]
"""Who waits, by tenant, in the order of their asking."""


def _leave(line: _Line, tenant: str, turn: asyncio.Future[None]) -> None:
    """Take a turn out of its line, where whoever gave a place back has not found it cancelled and done so."""
    waiting = line.get(tenant)
    if waiting and turn in waiting:
        waiting.remove(turn)
        if not waiting:
            del line[tenant]


def _refuse_too_many(line: _Line, tenant: str) -> None:
    share = MOST_OF_ALL // len(line.keys() | {tenant})
    most = max(LEAST_WAITING, min(MOST_WAITING, share))
    if len(line.get(tenant, ())) >= most:
        raise Refusal(
            Reason.QUOTA_EXCEEDED,
            f"{most} pictures of yours wait to be looked at, the most there may be now; try again.",
            retry_after_seconds=RETRY_SECONDS,
        )


class _Used:
    """How many seconds of places each tenant used while anybody was there.

    Who comes anew is as far as who used least of those that are there: being away earns nothing, and what
    was used before is not forgiven while others are there.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._present = Counter[str]()
        self._seconds = defaultdict[str, float](float)
        self._running = defaultdict[str, list[float]](list)
        self._turns = 0
        self._last_turn: dict[str, int] = {}

    def rank(self, tenant: str) -> tuple[float, int]:
        """Return what orders tenants: what one used, also what it is using, and when it last had its turn."""
        now = self._clock()
        using = sum(now - began for began in self._running.get(tenant, ()))
        return self._seconds[tenant] + using, self._last_turn.get(tenant, 0)

    @contextmanager
    def presence(self, tenant: str) -> Iterator[None]:
        """Count a tenant as there, waiting or in a place, until the block ends."""
        if not self._present[tenant]:
            least = min((self._seconds[other] for other in +self._present), default=0.0)
            self._seconds[tenant] = max(self._seconds[tenant], least)
        self._present[tenant] += 1
        try:
            yield
        finally:
            self._present[tenant] -= 1
            self._forget_if_idle()

    @contextmanager
    def measured(self, tenant: str) -> Iterator[None]:
        """Count the time until the block ends as used by a tenant."""
        began = self._clock()
        self._running[tenant].append(began)
        self._turns += 1
        self._last_turn[tenant] = self._turns
        try:
            yield
        finally:
            self._running[tenant].remove(began)
            self._seconds[tenant] += self._clock() - began

    def _forget_if_idle(self) -> None:
        """Begin anew where nobody is there."""
        if not any(self._present.values()):
            for kept in (self._present, self._seconds, self._running, self._last_turn):
                kept.clear()
