"""Histories of a service that keeps every promise, one per seed: logs, and all kinds of watchers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from tests.history.checker import LEGAL, TERMINAL, Entry, Event, Heartbeat, Log, Stream

MIN_TASKS, MAX_TASKS = 2, 6
MIN_EVENTS, MAX_EVENTS = 4, 30
MAX_WATCHERS = 6
BEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class History:
    """What the checker takes."""

    logs: Mapping[str, Log]
    streams: Sequence[Stream]

    @property
    def events(self) -> int:
        """How many events all watchers together saw."""
        return sum(len(stream.events) for stream in self.streams)


def clean_history(seed: int) -> History:
    """Return a history in which nothing is wrong.

    Of every task there are a watcher from the start to the end, one that resumes from somewhere, one that
    comes when all is over, and some whose streams break and that resume until the end.
    """
    dice = Random(seed)
    logs = {f"task_{number}": _log(dice) for number in range(dice.randint(MIN_TASKS, MAX_TASKS))}
    streams: list[Stream] = []
    for task_id, log in logs.items():
        last = len(log.entries)
        streams += [
            _stream(dice, task_id, log, after, breaks_at=last) for after in (0, dice.randrange(1, last), last)
        ]
        for _ in range(dice.randint(0, MAX_WATCHERS)):
            streams += _watcher(dice, task_id, log)
        streams.append(Stream(task_id=task_id, after_seq=last + 1, items=(), code="OUT_OF_RANGE"))
    return History(logs, streams)


def _log(dice: Random) -> Log:
    entries: list[Entry] = []
    state, time, length = "", 0.0, dice.randint(MIN_EVENTS, MAX_EVENTS)
    while state not in TERMINAL:
        time += dice.expovariate(1 / 10)
        following = sorted(LEGAL[state] if len(entries) >= length else LEGAL[state] - TERMINAL)
        state = dice.choice(following)
        entries.append(
            Entry(seq=len(entries) + 1, state=state, content=dice.getrandbits(64), time=time),
        )
    return Log(entries=entries, row_seq=len(entries), row_state=state)


def _watcher(dice: Random, task_id: str, log: Log) -> list[Stream]:
    """A client whose streams break at random places and that resumes where it stands."""
    streams: list[Stream] = []
    after, last = dice.randrange(len(log.entries)), len(log.entries)
    while not streams or streams[-1].code != "OK":
        streams.append(_stream(dice, task_id, log, after, breaks_at=dice.randint(after, last)))
        after = streams[-1].position
    return streams


def _stream(dice: Random, task_id: str, log: Log, after: int, breaks_at: int) -> Stream:
    """Deliver what follows ``after``, with heartbeats, up to event ``breaks_at``; OK if that is the last."""
    opened = now = dice.uniform(0, log.entries[-1].time)
    items: list[Event | Heartbeat] = []
    sent = after
    for entry in log.entries[after:breaks_at]:
        while entry.time - now > BEAT_SECONDS:
            now += BEAT_SECONDS
            items.append(Heartbeat(seq=sent, at=now))
        now, sent = max(now, entry.time) + dice.uniform(0, 0.2), entry.seq
        items.append(
            Event(task_id=task_id, seq=entry.seq, state=entry.state, content=entry.content, at=now),
        )
    if breaks_at == len(log.entries):
        code, trailer = "OK", None
    else:
        code, trailer = dice.choice(
            [
                ("UNAVAILABLE", None),
                ("UNAVAILABLE", sent),
                ("LEFT", None),
                ("RESOURCE_EXHAUSTED", max(after, sent - 1)),
            ]
        )
    return Stream(
        task_id=task_id, after_seq=after, items=items, code=code, last_seq=trailer, opened=opened, closed=now
    )
