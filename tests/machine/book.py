"""The judge's book: every task's log as it grows, held against the promises and the vendor's ledger."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any, cast

from imageedit_server.core.charge import Billing
from imageedit_server.core.request import OnUnknown
from imageedit_server.core.task import TRANSITIONS, Attempt, Event, Outcome, State, Task
from imageedit_server.core.transitions import UNKNOWN_OUTCOMES
from imageedit_server.store.queries import find_task
from imageedit_server.wire.messages import watch_message
from tests.engine.house import check
from tests.history.checker import Entry, Log, Patience, Stream, violations
from tests.history.recorder import content_of, item_of
from tests.machine.door import Call
from tests.machine.vendor import HandDrivenVendor, Work, picture_id
from tests.machine.world import FREE, World

PATIENT = Patience(silence_seconds=inf, late_seconds=inf)
ASKED_ON_SECONDS = 20
"""So soon after a task's end its vendor is asked often enough for any faults of this world."""
EDGES = frozenset((before, after) for before, afters in TRANSITIONS.items() for after in afters)


class Book:
    """What was seen so far. ``edges`` counts the steps of tasks' lives, by state."""

    def __init__(self) -> None:
        self.logs: dict[str, list[Event]] = {}
        self.keys: dict[tuple[str, str, str], str] = {}
        self.edges: Counter[tuple[State, State]] = Counter()
        self.entries: dict[str, list[Entry]] = {}
        self.watches: list[Call] = []
        self.open_at: dict[str, float] = {}
        """When a task was last seen open, in the loop's seconds: it ended no earlier."""
        self.made_at: dict[int, float] = {}
        """When the work of this number was first seen done: it was done no later."""

    def last(self, task_id: str) -> Task:
        """A task as of its last event."""
        return self.logs[task_id][-1].task

    def audit(self, world: World) -> None:
        """Read what is new, and hold it against everything that must always be true."""
        assert not world.alarms, world.alarms
        assert not world.database.stale, world.database.stale
        heads = world.heads()
        assert set(self.logs) <= set(heads), "a task is gone"
        for task_id, (seq, state) in heads.items():
            log = self.logs.setdefault(task_id, [])
            if seq != len(log):
                new = world.events(task_id, len(log))
                self._read(log, new)
                self.entries.setdefault(task_id, []).extend(_entry(event, world) for event in new)
            assert seq == len(log)
            assert state == log[-1].task.status.state
            _check_money(log, world.vendor)
        self._read_keys(world)
        self._note_times(world, heads)

    def _note_times(self, world: World, heads: Mapping[str, tuple[int, str]]) -> None:
        now = world.loop.time()
        self.open_at |= {task_id: now for task_id, (_, state) in heads.items() if not State(state).terminal}
        for work in world.vendor.works:
            if work.state == "SUCCEEDED":
                self.made_at.setdefault(work.number, now)

    def _read(self, log: list[Event], new: Iterable[Event]) -> None:
        """Take new events: gapless, legal, nothing after the terminal one (P9, P12)."""
        for event in new:
            assert event.seq == len(log) + 1
            after = event.task.status.state
            if log:
                before = log[-1].task.status.state
                assert (before, after) in EDGES
                self.edges[before, after] += 1
            _check_attempts(event.task, [each.task for each in log[-1:]])
            log.append(event)

    def _read_keys(self, world: World) -> None:
        """A request_id stands for one task, for good (P3)."""
        keys = world.keys()
        assert self.keys.items() <= keys.items(), "a request_id stands for another task"
        self.keys = keys

    def close(self, world: World) -> None:
        """Hold the whole story against what must be true in the end."""
        self.audit(world)
        for task_id, log in self.logs.items():
            task = world.database.look(find_task, task_id)
            events = world.events(task_id, 0)
            check(events, task)
            assert [event.task for event in events] == [event.task for event in log], "an event changed"
            assert task.status.state.terminal, f"stuck in {task.status}"
            _check_ledger(task, world)
            self._check_nothing_is_left(task, world.vendor)
        self._check_watches(world)

    def check_home(self, work: Work, world: World) -> None:
        """Hold a task against one piece of work whose result the vendor has told us of (P6)."""
        task = world.database.look(find_task, work.task_id)
        assert task is not None
        _check_home(task, work)

    def _check_nothing_is_left(self, task: Task, vendor: HandDrivenVendor) -> None:
        """What a vendor reported is home or late, and what it made up to soon after a failed task's end."""
        mine = {f"{task.task_id}-{attempt.number}": attempt for attempt in task.status.attempts}
        home = {image.image_id for image in task.status.all_images()}
        for work in vendor.works:
            attempt = mine.get(work.attempt_key)
            if attempt is None or work.state != "SUCCEEDED" or work.gone:
                continue
            reported = attempt.outcome is Outcome.SUCCEEDED
            asked_on = attempt.outcome is Outcome.ACCEPTED and task.status.state is State.FAILED
            in_time = self.made_at[work.number] <= self.open_at.get(task.task_id, -inf) + ASKED_ON_SECONDS
            if reported or (asked_on and in_time):
                assert picture_id(work.shade) in home, "paid, to be had, and lost"

    def _check_watches(self, world: World) -> None:
        """What watchers saw agrees with the log (T3); who sleeps may be told late."""
        heads = world.heads()
        logs = {
            task_id: Log(entries=entries, row_seq=heads[task_id][0], row_state=heads[task_id][1])
            for task_id, entries in self.entries.items()
        }
        for slept, patience in ((False, Patience()), (True, PATIENT)):
            streams = [_stream(call, world) for call in self.watches if call.slept is slept]
            found = violations(logs, streams, patience=patience)
            assert not found, found


def _entry(event: Event, world: World) -> Entry:
    content = content_of(watch_message(event).event)
    state = event.task.status.state.value
    return Entry(seq=event.seq, state=state, content=content, time=world.seconds_of(event))


def _stream(call: Call, world: World) -> Stream:
    """A watch as its client saw it; the end of a process is an end of the connection."""
    request: Any = call.requests[0]
    ended = call.code.name if call.code else "UNAVAILABLE"
    last_seq = call.trailer.get("last-seq")
    items = [item_of(cast(Any, each), at) for each, at in zip(call.responses, call.times, strict=True)]
    return Stream(
        task_id=request.task_id,
        after_seq=request.after_seq,
        items=items,
        code=("LEFT" if call.left else ended) if call.work.done() else "",
        last_seq=None if last_seq is None else int(last_seq),
        opened=call.opened,
        closed=call.closed if call.work.done() else world.loop.time(),
    )


def _check_attempts(task: Task, before: Sequence[Task]) -> None:
    """No second attempt unless the first is proved unprocessed, or the caller took the risk, once (P5)."""
    attempts = task.status.attempts
    known = before[0].status.attempts if before else ()
    if len(attempts) <= max(len(known), 1):
        return
    doubtful = [each for each in attempts[:-1] if each.outcome is not Outcome.NOT_PROCESSED]
    assert all(each.outcome in UNKNOWN_OUTCOMES for each in doubtful), "paid again after an answer"
    allowed = 1 if task.request.on_unknown is OnUnknown.RESUBMIT else 0
    assert len(doubtful) <= allowed, "paid again without proof that the first was not processed"


def _check_money(log: Sequence[Event], vendor: HandDrivenVendor) -> None:
    """What a task says of money, against the ledger."""
    task = log[-1].task
    charges = charges_of(task, vendor)
    assert all(count <= 1 for count in charges.values()), "an attempt was charged twice"
    if task.request.provider == FREE:
        return
    allowed = 2 if task.request.on_unknown is OnUnknown.RESUBMIT else 1
    assert len(charges) <= allowed, f"charged {len(charges)} times"
    if task.status.billing is Billing.NOT_CHARGED:
        assert not charges, "charged, and said that it was not"
    if task.status.billing is Billing.CHARGED:
        assert charges, "said that it was charged, and was not"
    for attempt in task.status.attempts:
        _check_attempt(task, attempt, vendor)


def _check_attempt(task: Task, attempt: Attempt, vendor: HandDrivenVendor) -> None:
    charged = vendor.charges[f"{task.task_id}-{attempt.number}"]
    if attempt.billing is Billing.NOT_CHARGED or attempt.outcome is Outcome.NOT_PROCESSED:
        assert not charged, "an attempt was processed, and we believe that it was not"
    if attempt.billing is Billing.CHARGED:
        assert charged, "an attempt was not processed, and we believe that it succeeded"


def charges_of(task: Task, vendor: HandDrivenVendor) -> dict[str, int]:
    """What the ledger says of a task, by attempt key."""
    return {
        key: count
        for key, count in vendor.charges.items()
        if count and key.rpartition("-")[0] == task.task_id
    }


def _check_ledger(task: Task, world: World) -> None:
    """Every result is the vendor's own, and none that it told us of is lost (P6)."""
    _check_attempts_now(task, world.vendor)
    works = [work for work in world.vendor.works if work.task_id == task.task_id]
    made = {picture_id(work.shade) for work in works if work.state == "SUCCEEDED"}
    home, late = _home(task), _late(task)
    assert late <= made
    if task.request.provider:
        assert home <= made, "a result that no vendor made"
    kept = world.kept()
    for work in works:
        if work.answered and work.riddle:
            _check_kept(task, work, kept)
        elif work.noted or work.answered:
            _check_home(task, work)


def _check_kept(task: Task, work: Work, kept: Mapping[str, bytes]) -> None:
    """Answered and not understood: the caller is told that it may have been charged; the answer is there."""
    attempt = task.status.attempts[int(work.attempt_key.rpartition("-")[2]) - 1]
    assert attempt.outcome in UNKNOWN_OUTCOMES, "nobody could read what was taken for an answer"
    assert attempt.answer is not None, "the attempt does not tell of its answer"
    assert attempt.answer.kept
    assert work.attempt_key in kept, "paid, answered in a form that nobody could read, and lost"
    assert b"Riddle" in kept[work.attempt_key]


def _check_home(task: Task, work: Work) -> None:
    if not work.gone:
        assert picture_id(work.shade) in _home(task) | _late(task), "paid, told that it is done, and lost"


def _home(task: Task) -> set[str]:
    return {image.image_id for image in task.status.images}


def _late(task: Task) -> set[str]:
    return {image.image_id for attempt in task.status.attempts for image in attempt.late_images}


def _check_attempts_now(task: Task, vendor: HandDrivenVendor) -> None:
    if task.request.provider != FREE:
        for attempt in task.status.attempts:
            _check_attempt(task, attempt, vendor)
