"""What is in hand has bytes and no row yet: whoever erases is told of it (F4)."""

import asyncio
from collections.abc import Callable

import pytest

from imageedit_server.images import in_hand as in_hand_module
from imageedit_server.images.in_hand import InHand

PATIENCE_SECONDS = 10


async def test_what_is_stored_within_is_in_hand_until_the_end() -> None:
    in_hand = InHand()
    with in_hand.holding() as held:
        in_hand.take("a")
        assert held.image_ids == ["a"]
        assert is_taken(in_hand, "a")
        assert not is_taken(in_hand, "b")
    assert not is_taken(in_hand, "a")


async def test_each_holder_counts() -> None:
    in_hand = InHand()
    with in_hand.holding():
        in_hand.take("a")
        with in_hand.holding():
            in_hand.take("a")
        assert is_taken(in_hand, "a")
    assert not is_taken(in_hand, "a")


async def test_who_looks_is_told_what_was_taken_meanwhile_too() -> None:
    """Also what was let go of: its row may be newer than what was read."""
    in_hand = InHand()
    with in_hand.holding():
        in_hand.take("before")
        looking = in_hand.looking()
        taken = looking.__enter__()
    with in_hand.holding():
        in_hand.take("meanwhile")
    assert [each for each in ("before", "meanwhile", "never") if taken(each)] == ["before", "meanwhile"]
    looking.__exit__(None, None, None)


async def test_a_task_that_is_started_within_stores_for_its_starter() -> None:
    in_hand = InHand()

    async def store() -> None:
        in_hand.take("a")

    with in_hand.holding() as held:
        await asyncio.create_task(store())
    assert held.image_ids == ["a"]


@pytest.mark.parametrize("late", [False, True], ids=["nowhere", "in a task that outlives its starter"])
async def test_what_nobody_lets_go_of_is_in_hand_for_a_while(
    monkeypatch: pytest.MonkeyPatch, late: bool
) -> None:
    monkeypatch.setattr(in_hand_module, "FORGOTTEN_SECONDS", 0.1)
    in_hand = InHand()
    if late:
        with in_hand.holding():
            work = asyncio.create_task(stored(in_hand.take))
        await work
    else:
        in_hand.take("a")
    assert is_taken(in_hand, "a")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while is_taken(in_hand, "a"):  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(0)


async def stored(take: Callable[[str], None]) -> None:
    take("a")


def is_taken(in_hand: InHand, image_id: str) -> bool:
    with in_hand.looking() as taken:
        return taken(image_id)
