"""A defect of ours shows its caller an id and nothing else; the log has the rest (P21, DESIGN §2)."""

import logging
import re
from pathlib import Path

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.editing import Pictures, Tasks, Watching
from imageedit_server.rpc.service import ImageEditService
from tests.rpc.calls import assert_presentable, call
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "SELECT key FROM /root/secrets.py"


def broken(*_arguments: object, **_options: object) -> None:
    raise RuntimeError(SECRET)


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("GetTask", (Tasks, "get")),
        ("WatchTask", (Watching, "watch")),
        ("UploadImage", (Pictures, "upload")),
        ("DownloadImage", (Pictures, "find")),
    ],
)
async def test_a_defect_is_internal_with_an_id(
    served: Served,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    place: tuple[type, str],
) -> None:
    """INTERNAL_ERROR, in calls of every shape; the id leads to the traceback in the log."""
    monkeypatch.setattr(*place, broken)
    requests = {
        "GetTask": pb.GetTaskRequest(task_id=world.finished),
        "WatchTask": pb.WatchTaskRequest(task_id=world.finished),
        "UploadImage": pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
        "DownloadImage": pb.DownloadImageRequest(image_id=world.png),
    }
    with caplog.at_level(logging.ERROR):
        outcome = await call(served.channel, method, requests[method])
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")
    assert_presentable(outcome)
    assert SECRET not in outcome.message + str(outcome.trailer)
    (incident,) = re.findall(r"\b[0-9a-f]{16}\b", outcome.message)
    (record,) = [record for record in caplog.records if incident in record.getMessage()]
    assert record.exc_info
    assert SECRET in str(record.exc_info[1])


async def test_what_is_not_implemented_is_no_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """UNIMPLEMENTED, in calls of every shape, and not a line of log: anyone can ask for it, at any rate."""
    missing = ("GetTask", "WatchTask", "UploadImage", "DownloadImage")
    for method in missing:  # what is left is what the generated base class has
        monkeypatch.delattr(ImageEditService, method)
    async with serving(tmp_path, SCRIPTED) as served:
        caplog.clear()
        for method in missing:
            outcome = await call(served.channel, method, b"")
            assert outcome.code is grpc.StatusCode.UNIMPLEMENTED
            assert outcome.message == "This method is not implemented here."
        assert not caplog.records


async def test_a_part_that_is_not_implemented_is_a_defect(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the generated code says that a whole method is missing."""

    def missing(*_arguments: object, **_options: object) -> None:
        raise NotImplementedError(SECRET)

    monkeypatch.setattr(Tasks, "get", missing)
    outcome = await call(served.channel, "GetTask", pb.GetTaskRequest(task_id="task_" + 32 * "0"))
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")
