"""What broken services would make of a clean history. Each names the property that it breaks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.history.checker import TERMINAL, Event, Heartbeat, Patience, Stream
from tests.history.clean import History

Items = list[Event | Heartbeat]
LATE = 10 * Patience().silence_seconds


@dataclass(frozen=True, slots=True)
class Mutant:
    """A bug: what it does, the property that must catch it, and how it changes a history."""

    name: str
    breaks: str
    plant: Callable[[History, Random], History]


def _stream(
    suits: Callable[[Stream], object], change: Callable[[Stream, Random], Stream]
) -> Callable[[History, Random], History]:
    """Change one of the streams that suit."""

    def plant(history: History, dice: Random) -> History:
        streams = list(history.streams)
        at = dice.choice([number for number, stream in enumerate(streams) if suits(stream)])
        streams[at] = change(streams[at], dice)
        return replace(history, streams=streams)

    return plant


def _log(change: Callable[[Any, Random], dict[str, Any]]) -> Callable[[History, Random], History]:
    """Change one of the logs, and no stream."""

    def plant(history: History, dice: Random) -> History:
        task_id, log = dice.choice(list(history.logs.items()))
        return replace(history, logs={**history.logs, task_id: replace(log, **change(log, dice))})

    return plant


def _whole(stream: Stream) -> bool:
    """From the start to the end."""
    return stream.after_seq == 0 and stream.code == "OK"


def _resumed(stream: Stream) -> bool:
    """From the middle to the end."""
    return stream.after_seq > 0 and len(stream.events) > 0 and stream.code == "OK"


def _beyond(stream: Stream) -> bool:
    """After what the task has."""
    return stream.code == "OUT_OF_RANGE"


def _places(stream: Stream) -> list[int]:
    """Where in ``items`` the events stand."""
    return [place for place, item in enumerate(stream.items) if isinstance(item, Event)]


def _with(stream: Stream, items: Sequence[Event | Heartbeat]) -> Stream:
    return replace(stream, items=list(items))


def _drops(stream: Stream, dice: Random) -> Stream:
    gone = dice.choice(_places(stream)[1:-1])
    return _with(stream, [*stream.items[:gone], *stream.items[gone + 1 :]])


def _repeats(stream: Stream, dice: Random) -> Stream:
    place = dice.choice(_places(stream)[:-1])
    return _with(stream, [*stream.items[: place + 1], *stream.items[place:]])


def _swaps(stream: Stream, dice: Random) -> Stream:
    places, items = _places(stream), list(stream.items)
    first = dice.randrange(len(places) - 1)
    here, there = places[first], places[first + 1]
    items[here], items[there] = items[there], items[here]
    return _with(stream, items)


def _resumes_at(stream: Stream, dice: Random) -> Stream:
    """As if ``after_seq`` had been one more than what it was: event ``after_seq`` comes again."""
    return replace(stream, after_seq=stream.events[0].seq)


def _resumes_late(stream: Stream, dice: Random) -> Stream:
    return replace(stream, after_seq=stream.after_seq - 1)


def _starts_over(stream: Stream, dice: Random) -> Stream:
    return replace(stream, after_seq=dice.randint(1, len(stream.events)))


def _gives_up_with_ok(stream: Stream, dice: Random) -> Stream:
    return _with(stream, stream.items[: dice.choice(_places(stream)[1:])])


def _goes_on(stream: Stream, dice: Random) -> Stream:
    last = stream.events[-1]
    more: Items = [replace(last, seq=last.seq + 1, state="RUNNING"), Heartbeat(seq=last.seq, at=last.at)]
    return _with(stream, [*stream.items, dice.choice(more)])


def _ends_twice(stream: Stream, dice: Random) -> Stream:
    return _with(stream, [*stream.items, stream.items[-1]])


def _mixes_tasks(stream: Stream, dice: Random) -> Stream:
    return _with_event(stream, dice, task_id="task_of_somebody_else")


def _alters(stream: Stream, dice: Random) -> Stream:
    return _with_event(stream, dice, content="altered")


def _with_event(stream: Stream, dice: Random, **changed: Any) -> Stream:
    items, place = list(stream.items), dice.choice(_places(stream))
    items[place] = replace(stream.items[place], **changed)
    return _with(stream, items)


def _tells_before_commit(stream: Stream, dice: Random) -> Stream:
    """An event that the log never got, just before the stream broke."""
    last = stream.events[-1]
    ghost = replace(last, seq=last.seq + 1, content="rolled back")
    return replace(stream, items=[*stream.items, ghost], code="UNAVAILABLE")


def _beats_ahead(stream: Stream, dice: Random) -> Stream:
    place = dice.choice(_places(stream))
    event = stream.items[place]
    return _with(
        stream, [*stream.items[:place], Heartbeat(seq=event.seq, at=event.at), *stream.items[place:]]
    )


def _bookmarks_ahead(stream: Stream, dice: Random) -> Stream:
    place = dice.choice(_places(stream)[1:])
    ahead = stream.items[place].seq
    return replace(stream, items=stream.items[:place], code="UNAVAILABLE", last_seq=ahead)


def _dies_silently(stream: Stream, dice: Random) -> Stream:
    cut = stream.items[: dice.choice(_places(stream))]
    return replace(stream, items=cut, code="", closed=stream.closed + LATE)


def _never_ends(stream: Stream, dice: Random) -> Stream:
    return replace(stream, code="")


def _misses_a_hint(stream: Stream, dice: Random) -> Stream:
    """One event, and all after it, come only long after; heartbeats in between say that all is well."""
    place = dice.choice(_places(stream))
    sent = max([stream.after_seq, *(item.seq for item in stream.items[:place])])
    start = stream.items[place - 1].at if place else stream.opened
    beats = [Heartbeat(seq=sent, at=start + 15 * number) for number in range(1, 31)]
    late = [replace(item, at=max(item.at, beats[-1].at)) for item in stream.items[place:]]
    closed = max(stream.closed, beats[-1].at)
    return replace(stream, items=[*stream.items[:place], *beats, *late], closed=closed)


def _says_nothing(stream: Stream, dice: Random) -> Stream:
    """No heartbeat, where the next event is long in coming; the stream then breaks."""
    place = dice.choice(_places(stream)[1:])
    return replace(
        stream, items=stream.items[:place], code="UNAVAILABLE", closed=stream.items[place].at + LATE
    )


def _breaks_after_the_end(stream: Stream, dice: Random) -> Stream:
    return replace(stream, code="UNAVAILABLE", last_seq=stream.position)


def _accepts_the_future(stream: Stream, dice: Random) -> Stream:
    """etcd #20221: a revision that does not exist yet was answered with old events."""
    return replace(stream, code="OK")


def _forgets_an_acked_event(stream: Stream, dice: Random) -> Stream:
    return replace(stream, items=(), code="OUT_OF_RANGE", opened=stream.opened + LATE)


def _log_gap(log: Any, dice: Random) -> dict[str, Any]:
    gone = dice.randrange(1, len(log.entries) - 1)
    return {"entries": [*log.entries[:gone], *log.entries[gone + 1 :]]}


def _log_ends_twice(log: Any, dice: Random) -> dict[str, Any]:
    last = log.entries[-1]
    again = replace(last, seq=last.seq + 1, state=dice.choice(sorted(TERMINAL)))
    return {"entries": [*log.entries, again], "row_seq": again.seq, "row_state": again.state}


def _log_skips_running(log: Any, dice: Random) -> dict[str, Any]:
    """Finished without being claimed: a zombie's write landed."""
    entries = [log.entries[0], replace(log.entries[-1], seq=2, state="SUCCEEDED")]
    return {"entries": entries, "row_seq": 2, "row_state": "SUCCEEDED"}


def _log_behind_the_row(log: Any, dice: Random) -> dict[str, Any]:
    """A kill between the row and its event, in two transactions."""
    return {"entries": log.entries[: dice.randrange(1, len(log.entries))]}


def _log_stays_open(log: Any, dice: Random) -> dict[str, Any]:
    entries = log.entries[: dice.randrange(1, len(log.entries))]
    return {"entries": entries, "row_seq": entries[-1].seq, "row_state": entries[-1].state}


MUTANTS = [
    Mutant("leaves an event out", "RELIABLE", _stream(_whole, _drops)),
    Mutant("sends an event twice", "UNIQUE", _stream(_whole, _repeats)),
    Mutant("swaps two events", "ORDERED", _stream(_whole, _swaps)),
    Mutant("resumes at >= instead of >", "RESUMABLE", _stream(_resumed, _resumes_at)),
    Mutant("resumes one too late", "RESUMABLE", _stream(_resumed, _resumes_late)),
    Mutant("starts over instead of resuming", "RESUMABLE", _stream(_whole, _starts_over)),
    Mutant("answers a future seq with OK", "RESUMABLE", _stream(_beyond, _accepts_the_future)),
    Mutant("refuses a seq that it gave out", "RESUMABLE", _stream(_resumed, _forgets_an_acked_event)),
    Mutant("ends OK before the terminal event", "OK_ONLY_AFTER_TERMINAL", _stream(_whole, _gives_up_with_ok)),
    Mutant("ends UNAVAILABLE after it", "OK_ONLY_AFTER_TERMINAL", _stream(_whole, _breaks_after_the_end)),
    Mutant("goes on after the terminal event", "NOTHING_AFTER_TERMINAL", _stream(_whole, _goes_on)),
    Mutant("ends twice", "NOTHING_AFTER_TERMINAL", _stream(_whole, _ends_twice)),
    Mutant("sends another task's event", "ISOLATION", _stream(_whole, _mixes_tasks)),
    Mutant("alters an event", "FAITHFUL", _stream(_whole, _alters)),
    Mutant("tells what was rolled back", "FAITHFUL", _stream(_whole, _tells_before_commit)),
    Mutant("beats ahead of what it sent", "BOOKMARKABLE", _stream(_whole, _beats_ahead)),
    Mutant("names a last-seq that it did not send", "BOOKMARKABLE", _stream(_whole, _bookmarks_ahead)),
    Mutant("dies silently", "LIVENESS", _stream(_whole, _dies_silently)),
    Mutant("never ends", "LIVENESS", _stream(_whole, _never_ends)),
    Mutant("misses a hint", "LIVENESS", _stream(_whole, _misses_a_hint)),
    Mutant("sends no heartbeat", "LIVENESS", _stream(_whole, _says_nothing)),
    Mutant("loses an event of the log", "GAPLESS", _log(_log_gap)),
    Mutant("writes two terminal events", "ONE_TERMINAL", _log(_log_ends_twice)),
    Mutant("leaves a task open for ever", "ONE_TERMINAL", _log(_log_stays_open)),
    Mutant("lets a zombie finish a queued task", "LEGAL", _log(_log_skips_running)),
    Mutant("writes the row without its event", "ROW_IS_LAST_EVENT", _log(_log_behind_the_row)),
]
