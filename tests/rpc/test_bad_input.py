"""Bad input gets the right code, a reason, the field, and leaves no trace (F75, F77 to F84)."""

from collections import Counter

import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.rpc.bad_input import MALFORMED_IMAGES, MALFORMED_TASKS, Bad, rows, several
from tests.rpc.calls import assert_presentable, call
from tests.rpc.serving import Served
from tests.rpc.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.method}: {row.name}" for row in ROWS])
async def test_bad_input_is_refused_and_leaves_no_trace(served: Served, world: World, row: Bad) -> None:
    """Each row: the code, the reason, the field; and nothing more in the store than before."""
    requests = row.make(world)
    before = await served.stored()
    outcome = await call(served.channel, row.method, *several(requests))
    assert (outcome.code.name, outcome.reason) == (row.code, row.reason), outcome.message
    if row.field:
        assert row.field in outcome.fields
    assert_presentable(outcome)
    assert await served.stored() - before == Counter()


# What a stranger sees is the same whatever is missing (P22)


@pytest.mark.parametrize("method", ["GetTask", "CancelTask", "DeleteTask", "WatchTask"])
async def test_a_malformed_task_id_is_answered_like_an_unknown_one(served: Served, method: str) -> None:
    """P22: the same bytes."""
    make = {
        "GetTask": pb.GetTaskRequest,
        "CancelTask": pb.CancelTaskRequest,
        "DeleteTask": pb.DeleteTaskRequest,
        "WatchTask": pb.WatchTaskRequest,
    }[method]
    outcomes = [await call(served.channel, method, make(task_id=task_id)) for task_id in MALFORMED_TASKS]
    assert len({(outcome.code, outcome.message, str(outcome.trailer)) for outcome in outcomes}) == 1


async def test_a_malformed_image_id_is_answered_like_an_unknown_one(served: Served) -> None:
    """P22: the same bytes."""
    outcomes = [
        await call(served.channel, "DownloadImage", pb.DownloadImageRequest(image_id=image_id))
        for image_id in MALFORMED_IMAGES
    ]
    assert len({(outcome.code, outcome.message, str(outcome.trailer)) for outcome in outcomes}) == 1
