"""Claims: who works on which task, and for how long (DESIGN §4)."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, exists, func, or_, select, update

from imageedit_server.core import transitions
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Outcome, State, Task
from imageedit_server.store.dialect import lock_task
from imageedit_server.store.log import append_event, update_row
from imageedit_server.store.queries import row_by_id, with_attempts
from imageedit_server.store.statements import PreparedSelect
from imageedit_server.store.states import IS_OPEN, IS_QUEUED, IS_RUNNING, WAITS
from imageedit_server.store.tables import ATTEMPT, TASK, from_micros, to_micros

LAST = "\U0010ffff"
"""After every tenant's name."""
MOST_OVERDUE = 50
"""How many tasks one claim ends, so that no claim takes long."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to decide about a task, until another one takes it."""

    task_id: str
    token: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A task with the lease to work on it."""

    task: Task
    lease: Lease


@dataclass(frozen=True, slots=True)
class Claims:
    """What was claimed, and when there may be something to do again (None: when something changes).

    ``turn`` is the tenant that had the last turn.
    """

    claimed: tuple[Claimed, ...]
    next_due: datetime | None
    turn: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldBack:
    """Whose tasks wait for a provider that is unwell, and why (P15).

    ``submits_by_tenant`` says how many tasks of a tenant may begin to pay it, where that is not any number;
    the failures are what those that wait to their deadline end with, ``failure`` for whoever is not named.
    """

    submits_by_tenant: Mapping[str, int] = field(default_factory=dict)
    failure_by_tenant: Mapping[str, Failure] = field(default_factory=dict)
    failure: Failure | None = None


NOT_HELD_BACK = HeldBack()


def claim(
    connection: Connection,
    *,
    now: datetime,
    lease_until: datetime,
    free_by_provider: Mapping[str, int],
    most: int,
    submits_by_provider: Mapping[str, int] = MappingProxyType({}),
    held_back: Mapping[str, HeldBack] = MappingProxyType({}),
    turn: str = "",
    result_grace: timedelta = timedelta(0),
) -> Claims:
    """End what is overdue, then lease tasks that can be worked on.

    What was begun goes on first. Then tenants take turns, from the one after ``turn`` on, each with its
    oldest task: however many tasks of others wait, a tenant waits for one turn of each of them (F88).

    ``free_by_provider`` says how many tasks each provider can take, ``submits_by_provider`` how many of them
    may begin to pay it where that is fewer, ``held_back`` whose may not, and ``most`` how many there is room
    for. ``result_grace`` is how long after its deadline a task may still be worked on whose vendor has
    reported success.
    """
    more_overdue = _expire(connection, now, held_back, result_grace)
    rows: list[Any] = []
    if most > 0:
        rows = _candidates(
            connection,
            now,
            free_by_provider,
            submits_by_provider=submits_by_provider,
            held_back=held_back,
            most=most,
            turn=turn,
        )
    _lock(connection, rows)
    leased = (_lease(connection, row, now, lease_until) for row in rows)
    claimed = tuple(each for each in leased if each is not None)
    more = more_overdue or len(claimed) < len(rows)
    return Claims(claimed, now if more else _next_due(connection, now), _last_turn(rows, turn))


def open_providers(connection: Connection) -> set[str]:
    """Return every provider that has unfinished tasks, also those that nobody configured any more."""
    return set(connection.execute(select(TASK.c.provider).where(IS_OPEN).distinct()).scalars())


def renew(connection: Connection, leases: Sequence[Lease], lease_until: datetime) -> None:
    """Keep leases; those that were lost meanwhile stay lost."""
    rows = [{"id": lease.task_id, "token": lease.token, "until": to_micros(lease_until)} for lease in leases]
    if rows:
        connection.execute(
            update(TASK)
            .where(TASK.c.task_id == bindparam("id"), TASK.c.lease_token == bindparam("token"))
            .values(lease_until=bindparam("until")),
            rows,
        )


def _candidates(
    connection: Connection,
    now: datetime,
    free_by_provider: Mapping[str, int],
    *,
    submits_by_provider: Mapping[str, int],
    held_back: Mapping[str, HeldBack],
    most: int,
    turn: str,
) -> list[Any]:
    micros, free = to_micros(now), dict(free_by_provider)
    begun = [row for query in _UNOWNED for row in query.all(connection, now=micros, most=most)]
    chosen = _as_many_as_fit(sorted(begun, key=_number), free, most)
    most -= len(chosen)
    may_begin = {name: min(places, submits_by_provider.get(name, places)) for name, places in free.items()}
    by_tenant = {name: dict(held.submits_by_tenant) for name, held in held_back.items()}
    queued: list[Any] = []
    for provider in _with_queue(connection) if most > 0 else ():
        if may_begin.get(provider, 0) > 0:
            limits = by_tenant.get(provider, {})
            queued += _queued(connection, provider, micros, most, turn, limits)
    return chosen + _in_turns(queued, may_begin, by_tenant, most, turn)


def _with_queue(connection: Connection) -> Iterator[str]:
    """Jump from provider to provider for which tasks wait, however many do: most claims find none."""
    provider = _FIRST_WITH_QUEUE.first(connection).provider
    while provider is not None:
        yield provider
        provider = _NEXT_WITH_QUEUE.first(connection, after=provider).provider


def _as_many_as_fit(rows: Iterable[Any], free: dict[str, int], most: int) -> list[Any]:
    """Take the first rows that there is room for out of ``free``."""
    chosen: list[Any] = []
    for row in rows:
        if len(chosen) < most and free.get(row.provider, 0) > 0:
            free[row.provider] -= 1
            chosen.append(row)
    return chosen


def _queued(
    connection: Connection, provider: str, now: int, most: int, turn: str, limits: Mapping[str, int]
) -> list[Any]:
    """Return the ``most`` oldest tasks of each of the next ``most`` tenants, from the one after ``turn`` on.

    The cost grows with what can be claimed, not with what waits. Tenants that may begin none are passed
    over, so that theirs do not keep others' from being found.
    """
    rows: list[Any] = []
    for after, until in ((turn, LAST), ("", turn)):
        for found in _between(connection, provider, now, most, after, until):
            rows += (row for row in found if limits.get(row.tenant) != 0)
            if len({row.tenant for row in rows}) >= most:
                return rows
    return rows


def _between(
    connection: Connection, provider: str, now: int, most: int, after: str, until: str
) -> Iterator[list[Any]]:
    """Yield the ``most`` oldest tasks of one or more tenants of this range, in several short walks."""
    while True:
        found = _QUEUED.all(connection, provider=provider, now=now, after=after, until=until, most=most)
        is_cut = len(found) == most
        if is_cut and found[0].tenant != found[-1].tenant:  # of the last one, some may be missing
            found = [row for row in found if row.tenant != found[-1].tenant]
        yield found
        if not is_cut:
            return
        after = found[-1].tenant


def _in_turns(
    rows: Iterable[Any],
    free: dict[str, int],
    by_tenant: Mapping[str, dict[str, int]],
    most: int,
    turn: str,
) -> list[Any]:
    """Go round the tenants, from the one after ``turn`` on; each takes its oldest task that fits."""
    waiting: defaultdict[str, list[Any]] = defaultdict(list)
    for row in sorted(rows, key=_number):
        waiting[row.tenant].append(row)
    circle = deque(sorted(waiting, key=lambda tenant: (tenant <= turn, tenant)))
    chosen: list[Any] = []
    while circle and len(chosen) < most:
        tenant = circle.popleft()
        allowed = (row for row in waiting[tenant] if by_tenant.get(row.provider, {}).get(tenant) != 0)
        taken = _as_many_as_fit(allowed, free, 1)
        if taken:  # else there will be no room in the next round either
            waiting[tenant].remove(taken[0])
            _count_down(by_tenant.get(taken[0].provider, {}), tenant)
            circle.append(tenant)
            chosen += taken
    return chosen


def _count_down(limits: dict[str, int], tenant: str) -> None:
    if tenant in limits:
        limits[tenant] -= 1


def _last_turn(rows: Sequence[Any], turn: str) -> str:
    tenants = [row.tenant for row in rows if row.state == State.QUEUED]
    return tenants[-1] if tenants else turn


def _number(row: Any) -> int:
    return int(row.number)


_CANDIDATE = select(TASK.c.number, TASK.c.task_id, TASK.c.provider, TASK.c.tenant, TASK.c.state)

_UNOWNED = tuple(  # one walk each: SQLite uses no index for what OR joins
    PreparedSelect(
        _CANDIDATE.where(IS_RUNNING, not_owned, TASK.c.not_before <= bindparam("now", type_=Integer)).limit(
            bindparam("most")
        )
    )
    for not_owned in (TASK.c.lease_until.is_(None), TASK.c.lease_until <= bindparam("now", type_=Integer))
)
"""Running tasks whose owner died, or that nobody had to own while they waited."""

_WITH_QUEUE = select(func.min(TASK.c.provider).label("provider")).where(IS_QUEUED)
_FIRST_WITH_QUEUE = PreparedSelect(_WITH_QUEUE)
_NEXT_WITH_QUEUE = PreparedSelect(_WITH_QUEUE.where(TASK.c.provider > bindparam("after")))
_QUEUED = PreparedSelect(
    _CANDIDATE.where(
        IS_QUEUED,
        TASK.c.provider == bindparam("provider"),
        TASK.c.tenant > bindparam("after"),
        TASK.c.tenant <= bindparam("until"),
        TASK.c.not_before <= bindparam("now"),
    )
    .order_by(TASK.c.tenant, TASK.c.number)
    .limit(bindparam("most"))
)


def _lock(connection: Connection, rows: Iterable[Any]) -> None:
    """Lock what was found, oldest first like everybody. It may have changed since: look at it again."""
    for row in sorted(rows, key=_number):
        lock_task(connection, row.task_id)


def _lease(connection: Connection, row: Any, now: datetime, lease_until: datetime) -> Claimed | None:
    """Lease a locked task; None when somebody else took it, or made it wait, since it was found."""
    current = row_by_id(connection, row.task_id)
    if current is None or current.state != row.state or _is_busy(current, now):
        return None
    owned = {"lease_token": current.lease_token + 1, "lease_until": to_micros(lease_until)}
    lease = Lease(current.task_id, current.lease_token + 1)
    if State(current.state) is State.RUNNING:
        update_row(connection, current, owned)
        return Claimed(with_attempts(connection, current), lease)
    return Claimed(append_event(connection, current, transitions.start, now, owned), lease)


_OVERDUE = PreparedSelect(
    select(TASK.c.number, TASK.c.task_id)
    .where(
        IS_OPEN,
        TASK.c.deadline <= bindparam("now"),
        or_(TASK.c.lease_until.is_(None), TASK.c.lease_until <= bindparam("now")),
        or_(
            TASK.c.deadline <= bindparam("end_of_grace"),
            ~exists().where(ATTEMPT.c.task == TASK.c.number, ATTEMPT.c.outcome == Outcome.SUCCEEDED.value),
        ),
    )
    .limit(MOST_OVERDUE)
)
_NEXT_DEADLINE = PreparedSelect(
    select(func.min(TASK.c.deadline).label("due")).where(IS_OPEN, TASK.c.deadline > bindparam("now"))
)
_NEXT_END_OF_WAIT = PreparedSelect(
    select(func.min(TASK.c.not_before).label("due")).where(WAITS, TASK.c.not_before > bindparam("now"))
)


def _expire(
    connection: Connection, now: datetime, held_back: Mapping[str, HeldBack], result_grace: timedelta
) -> bool:
    """Fail open tasks past their deadline that nobody works on; say whether there may be more."""
    overdue = _OVERDUE.all(connection, now=to_micros(now), end_of_grace=to_micros(now - result_grace))
    _lock(connection, overdue)
    for task in overdue:
        row = row_by_id(connection, task.task_id)
        if row is not None and not State(row.state).terminal and not _is_owned(row, now):
            held = held_back.get(row.provider, NOT_HELD_BACK)
            behind = held.failure_by_tenant.get(row.tenant, held.failure)
            append_event(connection, row, partial(transitions.expire, behind=behind), now)
    return len(overdue) == MOST_OVERDUE


def _is_busy(row: Any, now: datetime) -> bool:
    return _is_owned(row, now) or bool(row.not_before > to_micros(now))


def _is_owned(row: Any, now: datetime) -> bool:
    return row.lease_until is not None and bool(row.lease_until > to_micros(now))


def _next_due(connection: Connection, now: datetime) -> datetime | None:
    """When the next deadline or the next end of a wait comes; past deadlines are their owners' business."""
    micros = to_micros(now)
    times = [query.first(connection, now=micros).due for query in (_NEXT_DEADLINE, _NEXT_END_OF_WAIT)]
    due = [time for time in times if time is not None]
    return from_micros(min(due)) if due else None
