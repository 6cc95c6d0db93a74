"""What every feed must do: wake, hand on, and never say that nothing is new where something is (P9, P10)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack

import pytest

from imageedit_server.core.change import Change
from imageedit_server.core.task import Event, State
from imageedit_server.feed.base import Feed, Follower
from tests.contracts.feeds import FEEDS
from tests.feed.test_tail import events

CROWD = 1000


@pytest.fixture(params=FEEDS)
async def feed(request: pytest.FixtureRequest) -> AsyncIterator[Feed]:
    """A new feed that nobody follows."""
    async with FEEDS[request.param]() as feed:
        yield feed


def told(first: int, last: int) -> list[Change]:
    """Changes with their events, as the store tells them."""
    return [
        Change(each.task.task_id, each.seq, State.RUNNING, each) for each in events(range(first, last + 1))
    ]


def hint(seq: int, *, called_back: bool = False) -> Change:
    """A change without its event."""
    return Change("task", seq, State.RUNNING, called_back=called_back)


async def woken(follower: Follower) -> None:
    """Wait for the hint and clear it."""
    async with asyncio.timeout(60):
        await follower.hint.wait()
    follower.hint.clear()


def seqs(found: Sequence[Event] | None) -> list[int] | None:
    return None if found is None else [event.seq for event in found]


async def test_a_follower_is_woken_and_finds_the_events(feed: Feed) -> None:
    with feed.follow("task") as follower:
        assert not follower.hint.is_set()
        assert follower.tail.after(0) is None
        feed.publish(told(1, 2))
        await woken(follower)
        assert seqs(follower.tail.after(0)) == [1, 2]
        feed.publish(told(3, 3))
        await woken(follower)
        assert seqs(follower.tail.after(2)) == [3]


async def test_followers_of_other_tasks_sleep_on(feed: Feed) -> None:
    with feed.follow("task") as follower, feed.follow("another") as other:
        feed.publish(told(1, 1))
        await woken(follower)
        assert not other.hint.is_set()
        assert other.tail.after(0) is None


async def test_a_crowd_is_woken_to_the_last_and_shares_one_tail(feed: Feed) -> None:
    with ExitStack() as stack:
        crowd = [stack.enter_context(feed.follow("task")) for _ in range(CROWD)]
        assert feed.followers("task") == CROWD
        feed.publish(told(1, 1))
        for follower in crowd:
            await woken(follower)
            assert follower.tail is crowd[0].tail
        feed.wake_all()
        for follower in crowd:
            await woken(follower)


async def test_a_hint_without_its_event_sends_the_follower_to_the_log(feed: Feed) -> None:
    """Else who has seen all that the tail has is told "nothing new", and sleeps until its heartbeat."""
    with feed.follow("task") as follower:
        feed.publish(told(1, 3))
        await woken(follower)
        feed.publish([hint(4)])
        await woken(follower)
        assert follower.tail.after(3) is None
        follower.tail.take(events(range(1, 4)))  # by another, who began to read before the hint
        assert follower.tail.after(3) is None
        follower.tail.take(events(range(4, 5)))
        assert seqs(follower.tail.after(3)) == [4]


async def test_a_hint_that_comes_after_its_event_changes_nothing(feed: Feed) -> None:
    """Such as a callback, which adds nothing to the log, or another process's hint that was overtaken."""
    with feed.follow("task") as follower:
        feed.publish(told(1, 3))
        feed.publish([hint(3, called_back=True), hint(2)])
        await woken(follower)
        assert follower.tail.after(3) == []
        assert seqs(follower.tail.after(1)) == [2, 3]


async def test_the_event_of_a_later_change_fills_the_tail_again(feed: Feed) -> None:
    """From there on; who has not seen what was told without an event still reads the log."""
    with feed.follow("task") as follower:
        feed.publish([*told(1, 2), hint(3), *told(4, 4)])
        await woken(follower)
        assert follower.tail.after(2) is None
        assert seqs(follower.tail.after(3)) == [4]


async def test_listeners_hear_everything_in_order(feed: Feed) -> None:
    first: list[Change] = []
    second: list[Change] = []
    feed.listen(first.extend)
    feed.publish(told(1, 2))
    feed.listen(second.extend)
    feed.publish([hint(2, called_back=True)])
    assert [change.seq for change in first] == [1, 2, 2]
    assert second == first[2:]


async def test_everyone_who_expects_is_asked(feed: Feed) -> None:
    asked: list[str] = []

    def expecting(name: str, answer: bool) -> None:
        def listener(_coming: Sequence[Change]) -> bool:
            asked.append(name)
            return answer

        feed.expect(listener)

    assert not feed.announce(told(1, 1))
    expecting("no", False)
    assert not feed.announce(told(1, 1))
    expecting("yes", True)
    expecting("late", False)
    assert feed.announce(told(1, 1))
    assert asked == ["no", "no", "yes", "late"]


async def test_what_is_only_announced_wakes_nobody(feed: Feed) -> None:
    """It may yet fail."""
    with feed.follow("task") as follower:
        feed.announce(told(1, 1))
        assert not follower.hint.is_set()
        assert follower.tail.after(0) is None


async def test_nothing_stays_of_who_left(feed: Feed) -> None:
    """Not even the tail: what was told while nobody followed is missing in it."""
    with feed.follow("task") as follower, feed.follow("task"):
        feed.publish(told(1, 2))
        await woken(follower)
    assert not feed.is_followed
    assert feed.followers("task") == 0
    feed.publish(told(3, 3))
    with feed.follow("task") as again:
        assert feed.is_followed
        assert again.tail.after(2) is None
    assert not feed.is_followed


async def test_who_breaks_off_leaves_nothing_either(feed: Feed) -> None:
    async def follow_for_ever() -> None:
        with feed.follow("task") as follower:
            await follower.hint.wait()

    following = asyncio.create_task(follow_for_ever())
    await asyncio.sleep(0)
    assert feed.is_followed
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert not feed.is_followed
