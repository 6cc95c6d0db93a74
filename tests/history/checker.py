"""Whether what watchers saw agrees with the log: a pure function over whole histories (P9 to P12).

Needs nothing of the service. Times are seconds on one clock, whichever the harness has; contents are anything
that is equal exactly when two events are equal.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})
LEGAL = {
    "": {"QUEUED"},
    "QUEUED": {"RUNNING", "FAILED", "CANCELLED"},
    "RUNNING": {"RUNNING", "QUEUED", "SUCCEEDED", "FAILED", "CANCELLED"},
}
"""Which state may follow which (DESIGN §4); the empty one stands before the first event."""
REFUSALS = {"OUT_OF_RANGE", "NOT_FOUND"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An event of the final log; ``time`` is when it was committed."""

    seq: int
    state: str
    content: Hashable
    time: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """All events of a task in the store's order, and what its own row says of the last one."""

    entries: Sequence[Entry]
    row_seq: int
    row_state: str

    def at(self, seq: int) -> Entry | None:
        """Return the event of that number."""
        return next((entry for entry in self.entries if entry.seq == seq), None)

    def ends_at(self, seq: int) -> bool:
        """Whether event ``seq`` is terminal."""
        return (entry := self.at(seq)) is not None and entry.state in TERMINAL


NO_LOG = Log(entries=(), row_seq=0, row_state="")


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An event as it came out of a stream at ``at``; ``task_id`` is the one that it carries."""

    task_id: str
    seq: int
    state: str
    content: Hashable
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """A heartbeat as it came out of a stream at ``at``."""

    seq: int
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Stream:
    """One WatchTask call: what was asked, what came, how it ended.

    ``code`` is ``""`` for a stream still open when the observation ended, which is then ``closed``, and
    ``"LEFT"`` for one that its own client gave up. ``last_seq`` is the trailer, which only the service sends.
    """

    task_id: str
    after_seq: int
    items: Sequence[Event | Heartbeat]
    code: str
    last_seq: int | None = None
    opened: float = 0.0
    closed: float = 0.0

    @property
    def events(self) -> list[Event]:
        """The events alone."""
        return [item for item in self.items if isinstance(item, Event)]

    @property
    def position(self) -> int:
        """Up to where its client knows the task."""
        return max([self.after_seq, *(event.seq for event in self.events)])


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a stream may say nothing, and an event be under way, before that is a violation."""

    silence_seconds: float = 45.0
    late_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken property, of which task, and how."""

    property: str
    task_id: str
    detail: str


def violations(
    logs: Mapping[str, Log],
    streams: Iterable[Stream],
    *,
    patience: Patience = Patience(),
    drained: bool = True,
) -> list[Violation]:
    """Return everything that is wrong, nothing when all holds. ``drained``: every task must be over."""
    found = [
        Violation(name, task_id, detail)
        for task_id, log in logs.items()
        for name, rule in LOG_PROPERTIES.items()
        for detail in rule(log, drained)
    ]
    for stream in streams:
        log = logs.get(stream.task_id, NO_LOG)
        for name, holds in STREAM_PROPERTIES.items():
            found += [Violation(name, stream.task_id, detail) for detail in holds(stream, log, patience)]
    return found


# Of the log


def _gapless(log: Log, drained: bool) -> Iterator[str]:
    """P9: the events of a task are numbered 1..n."""
    seqs = [entry.seq for entry in log.entries]
    if seqs != list(range(1, len(seqs) + 1)):
        yield f"the log has {seqs}"


def _legal(log: Log, drained: bool) -> Iterator[str]:
    """DESIGN §4: each state may follow the one before; so nothing follows a terminal one."""
    for before, after in pairwise(["", *(entry.state for entry in log.entries)]):
        if after not in LEGAL.get(before, ()):
            yield f"{before or 'nothing'} became {after}"


def _one_terminal(log: Log, drained: bool) -> Iterator[str]:
    """P12: exactly one terminal event per task, for ever; while work goes on, at most one."""
    ends = [entry.seq for entry in log.entries if entry.state in TERMINAL]
    if len(ends) > 1 or (drained and not ends):
        yield f"terminal events {ends} of {len(log.entries)}"


def _row_is_last_event(log: Log, drained: bool) -> Iterator[str]:
    """PROMISES §2: state and event are written in one transaction."""
    last = log.entries[-1] if log.entries else Entry(seq=0, state="", content="")
    if (log.row_seq, log.row_state) != (last.seq, last.state):
        yield f"the row says {log.row_seq} {log.row_state}, the log {last.seq} {last.state}"


# Of a stream


def _isolation(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9: a stream tells of the task that was asked for and of no other."""
    for event in stream.events:
        if event.task_id != stream.task_id:
            yield f"event {event.seq} is of {event.task_id}"


def _ordered(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9: events come in the order of the log."""
    for before, after in pairwise(stream.events):
        if after.seq < before.seq:
            yield f"{after.seq} came after {before.seq}"


def _unique(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9: an event comes once in a stream."""
    seqs = [event.seq for event in stream.events]
    for seq in sorted({seq for seq in seqs if seqs.count(seq) > 1}):
        yield f"{seq} came {seqs.count(seq)} times"


def _faithful(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9: what came is what the log holds for good, so nothing was told before it was durable (P1)."""
    for event in stream.events:
        entry = log.at(event.seq)
        if entry is None:
            yield f"{event.seq} is not in the log"
        elif (event.state, event.content) != (entry.state, entry.content):
            yield f"{event.seq} is another event in the log"


def _resumable(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9, P11: after k comes k + 1 and nothing older; only what does not exist is refused."""
    if stream.events and stream.events[0].seq != stream.after_seq + 1:
        yield f"after {stream.after_seq} came {stream.events[0].seq}"
    exists = [entry for entry in log.entries if entry.time < stream.opened]
    if stream.code in REFUSALS and exists and 0 <= stream.after_seq <= exists[-1].seq:
        yield f"{stream.code} after {stream.after_seq}, which existed"
    if stream.code == "OK" and not 0 <= stream.after_seq <= len(log.entries):
        yield f"OK after {stream.after_seq} of {len(log.entries)}"


def _reliable(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9: no event is left out: not between two, and at an OK end none at all."""
    last = log.entries[-1].seq if stream.code == "OK" and log.entries else stream.position
    if missing := set(range(stream.after_seq + 1, last + 1)) - {event.seq for event in stream.events}:
        yield f"{sorted(missing)} never came"


def _bookmarkable(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9, P12: a heartbeat names what was sent, and the trailer never more: a client may resume there."""
    sent = stream.after_seq
    for item in stream.items:
        if isinstance(item, Event):
            sent = max(sent, item.seq)
        elif item.seq != sent:
            yield f"heartbeat {item.seq} when {sent} was the last that came"
    if stream.last_seq is not None and not stream.after_seq <= stream.last_seq <= sent:
        yield f"last-seq {stream.last_seq} when {sent} was the last that came"


def _ok_only_after_terminal(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P12: OK exactly when the terminal event was sent; a service that sent it ends with nothing else."""
    over = log.ends_at(stream.position)
    if stream.code == "OK" and not over:
        yield f"OK after {stream.position}, which is not terminal"
    if stream.code not in ("OK", *REFUSALS) and over and stream.last_seq == stream.position:
        yield f"{stream.code} after the terminal event"


def _nothing_after_terminal(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P12: the terminal event is the last thing that a stream says."""
    over = log.ends_at(stream.after_seq)
    for item in stream.items:
        if over:
            yield f"{type(item).__name__} {item.seq} after the end"
        over = over or (isinstance(item, Event) and item.state in TERMINAL)


def _liveness(stream: Stream, log: Log, patience: Patience) -> Iterator[str]:
    """P9, P10: no long silence, each event in time, and an end when there is nothing more to say."""
    if stream.code == "LEFT":
        return
    for before, after in pairwise([stream.opened, *(item.at for item in stream.items), stream.closed]):
        if after - before > patience.silence_seconds:
            yield f"{after - before:.1f} s of silence"
    came = {event.seq: event.at for event in reversed(stream.events)}
    for entry in log.entries:
        late = came.get(entry.seq, stream.closed) - max(entry.time, stream.opened)
        if entry.seq > stream.after_seq and late > patience.late_seconds:
            yield f"{entry.seq} was {late:.1f} s late"
    if not stream.code and log.ends_at(stream.position):
        yield "still open after the terminal event"


LOG_PROPERTIES: Mapping[str, Callable[[Log, bool], Iterator[str]]] = {
    "GAPLESS": _gapless,
    "LEGAL": _legal,
    "ONE_TERMINAL": _one_terminal,
    "ROW_IS_LAST_EVENT": _row_is_last_event,
}
STREAM_PROPERTIES: Mapping[str, Callable[[Stream, Log, Patience], Iterator[str]]] = {
    "ISOLATION": _isolation,
    "ORDERED": _ordered,
    "UNIQUE": _unique,
    "FAITHFUL": _faithful,
    "RESUMABLE": _resumable,
    "RELIABLE": _reliable,
    "BOOKMARKABLE": _bookmarkable,
    "OK_ONLY_AFTER_TERMINAL": _ok_only_after_terminal,
    "NOTHING_AFTER_TERMINAL": _nothing_after_terminal,
    "LIVENESS": _liveness,
}
