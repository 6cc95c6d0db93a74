"""The power fails under a server at any moment: what it acknowledged is there, and it goes on (P1, F16)."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.figures import Figures
from tests.powerloss.answers import RiddlingRelay, is_kept, record_riddle, told_of
from tests.powerloss.disk import KEEPS
from tests.powerloss.launch import by_itself, in_this_process
from tests.powerloss.recorder import is_recordable
from tests.powerloss.recording import Failure, record
from tests.powerloss.server import ANSWER_CONTROLS, CONTROLS, FAILPOINTS
from tests.powerloss.verdict import judge
from tests.powerloss.workload import Vendor

pytestmark = pytest.mark.skipif(
    not is_recordable(), reason="SQLite is where it cannot be watched; make storm records from outside"
)

SEED = 1
HEADING = "power loss"


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[Vendor]:
    """A vendor that takes calls for as long as the test lasts."""
    async with Vendor() as vendor:
        yield vendor


@pytest.fixture
def dice() -> random.Random:
    """The same in every run."""
    return random.Random(SEED)


async def test_what_was_acknowledged_survives(
    tmp_path: Path, vendor: Vendor, dice: random.Random, figures: Figures
) -> None:
    """At every failpoint, and anywhere else; whatever share of what was not synced survives."""
    recording = await record(tmp_path, vendor, by_itself, edits=6)
    assert recording.is_complete()
    assert set(recording.points()) >= set(FAILPOINTS)
    last = Failure(recording.last_promise(), keep=0)
    failures = [*recording.failures_at_points(dice), *recording.failures(3, dice), last]
    for failure, disk in recording.images(failures, tmp_path, dice):
        verdict = await judge(disk, recording.promised_by(failure), vendor, in_this_process)
        assert not verdict.wrong(), failure
    tasks = sum(len(recording.promised_by(failure).created) for failure in failures)
    figures.line(HEADING, f"images: {len(failures)}, acked tasks in them: {tasks}, lost: 0")


@pytest.mark.parametrize("control", CONTROLS)
async def test_a_control_build_loses(
    control: str, tmp_path: Path, vendor: Vendor, dice: random.Random, figures: Figures
) -> None:
    """What the promise rests on is needed: without it, the same failures lose what was acknowledged."""
    recording = await record(tmp_path, vendor, by_itself, edits=2, control=control)
    failure = Failure(recording.last_promise(), keep=0)
    ((_, disk),) = recording.images([failure], tmp_path, dice)
    promised = recording.promised_by(failure)
    assert promised.created
    verdict = await judge(disk, promised, vendor, in_this_process)
    assert verdict.lost_tasks or verdict.lost_images
    tasks = f"{len(verdict.lost_tasks)} of {len(promised.created)} tasks"
    images = f"{len(verdict.lost_images)} of {len(promised.images())} images"
    figures.line(HEADING, f"control build, {control}: lost {tasks}, {images}")


async def test_an_answer_that_is_told_to_be_kept_survives(tmp_path: Path, dice: random.Random) -> None:
    """P31: nothing is done about an answer before it is durable."""
    async with RiddlingRelay() as relay:
        recording = await record_riddle(tmp_path, relay, by_itself)
    assert recording.is_complete()
    assert told_of(recording).answer.kept
    failures = [Failure(recording.last_promise(), keep) for keep in KEEPS]
    for failure, disk in recording.images(failures, tmp_path, dice):
        assert is_kept(disk), failure


@pytest.mark.parametrize("control", ANSWER_CONTROLS)
async def test_an_answer_without_its_fsync_is_lost(
    control: str, tmp_path: Path, dice: random.Random, figures: Figures
) -> None:
    """What the answer's promise rests on is needed."""
    async with RiddlingRelay() as relay:
        recording = await record_riddle(tmp_path, relay, by_itself, control)
    assert told_of(recording).answer.kept
    ((_, disk),) = recording.images([Failure(recording.last_promise(), keep=0)], tmp_path, dice)
    assert not is_kept(disk)
    figures.line(HEADING, f"control build, {control}: lost the answer")
