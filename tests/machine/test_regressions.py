"""What the machine found, kept as short stories."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imageedit_server.core.task import State
from tests.machine.requests import edit_request
from tests.machine.vendor import Fault, picture_id
from tests.machine.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "world")
    yield world
    world.close()


def test_a_call_that_is_repeated_under_its_key_names_no_address_that_would_be_refused(world: World) -> None:
    """Of the first call's token only the hash is kept: a second one would be nobody's, and polling does."""
    call = world.begin("EditImage", edit_request(provider="keyed", source=0))
    while not world.vendor.paid:  # the call is on its way, and has not arrived
        world.loop.step()
    assert not world.vendor.works
    world.crash()
    world.start()
    work = world.vendor.works[0]
    assert not work.callback_url
    work.end("SUCCEEDED")
    world.loop.advance(10)
    status = world.events(call.response.task.task_id, 0)[-1].task.status
    assert status.state is State.SUCCEEDED
    assert [image.image_id for image in status.images] == [picture_id(work.shade)]
    assert world.vendor.charges == {work.attempt_key: 1}


def test_a_refusal_of_a_repeated_call_says_nothing_of_the_first(world: World) -> None:
    """The first call may have been taken before the crash: under a new key it would be charged twice."""
    call = world.begin("EditImage", edit_request(provider="keyed", source=0))
    while not world.vendor.works:  # the call was taken, and its answer is on its way
        world.loop.step()
    world.crash()
    world.vendor.plan("keyed", "submit", Fault.TOO_MANY, 2)
    world.start()
    world.loop.advance(60)
    (work,) = world.vendor.works
    work.end("SUCCEEDED")
    world.loop.advance(10)
    task = world.events(call.response.task.task_id, 0)[-1].task
    assert task.status.state is State.SUCCEEDED
    assert [attempt.number for attempt in task.status.attempts] == [1]
    assert world.vendor.charges == {work.attempt_key: 1}
