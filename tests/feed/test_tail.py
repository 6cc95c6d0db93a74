"""The tail that followers of a task share: always without a gap, always up to what is known (P9)."""

import pytest

from imageedit_server.core.request import Kind, Request
from imageedit_server.core.task import Event, Status, Task
from imageedit_server.feed.tail import KEPT_EVENTS, Tail
from tests.store.making import LATER, NOW, TENANT


def tail(*parts: range) -> Tail:
    """A tail that took these seqs, one part after the other."""
    made = Tail()
    for part in parts:
        made.take(events(part))
    return made


def events(part: range) -> list[Event]:
    """The events of a task with these seqs."""
    return [Event(seq=seq, time=NOW, task=as_of(seq)) for seq in part]


def as_of(seq: int) -> Task:
    """The task as of an event."""
    return Task(
        task_id="task",
        tenant=TENANT,
        request=Request(kind=Kind.EDIT_IMAGE),
        status=Status(),
        seq=seq,
        create_time=NOW,
        deadline=LATER,
    )


def after(made: Tail, seq: int) -> list[int] | None:
    """The seqs that it gives after ``seq``."""
    found = made.after(seq)
    return None if found is None else [event.seq for event in found]


@pytest.mark.parametrize(
    "parts",
    [
        (range(3, 6), range(6, 7), range(7, 9)),  # told one after the other
        (range(5, 9), range(3, 7)),  # read, while more was told
        (range(3, 8), range(5, 9)),
        (range(3, 9), range(5, 6)),  # told after it was read
        (range(1, 2), range(3, 9)),  # the one between was never told
        (range(3, 9), range(1, 2)),  # read long ago
        (range(3, 9), range(0)),
    ],
)
def test_what_is_known_has_no_gap(parts: tuple[range, ...]) -> None:
    """However it was learnt: who has seen seq 2 gets 3 to 8, and who is further behind reads the log."""
    made = tail(*parts)
    assert after(made, 1) is None
    assert after(made, 2) == [3, 4, 5, 6, 7, 8]
    assert after(made, 6) == [7, 8]
    assert after(made, 8) == after(made, 9) == []


def test_an_empty_tail_says_nothing() -> None:
    """Not that there is nothing."""
    assert after(Tail(), 0) is None
    assert after(tail(range(0)), 5) is None


def test_a_hint_beyond_its_end_voids_it() -> None:
    """Until it has what the hint told of: an answer of "nothing new" would be a lie."""
    made = tail(range(3, 6))
    made.void_before(5)
    assert after(made, 5) == []
    made.void_before(7)
    assert after(made, 5) is after(made, 3) is None
    made.take(events(range(3, 6)))  # read before the seventh was there
    assert after(made, 5) is None
    made.take(events(range(6, 9)))
    assert after(made, 5) == [6, 7, 8]
    assert after(made, 8) == []


def test_an_old_hint_voids_nothing() -> None:
    made = tail(range(3, 6))
    made.void_before(4)
    assert after(made, 4) == [5]


def test_only_the_newest_are_kept() -> None:
    """A task of any length costs its followers no more memory than that."""
    made = tail(*(range(seq, seq + 1) for seq in range(1, 3 * KEPT_EVENTS + 1)))
    oldest = 2 * KEPT_EVENTS + 1
    assert after(made, oldest - 2) is None
    assert after(made, oldest - 1) == list(range(oldest, 3 * KEPT_EVENTS + 1))
