"""A defect of ours shows its caller an id and nothing else; the log has the rest (P21, DESIGN §2)."""

import errno
import logging
import os
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # it comes without types

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.editing import Pictures, Tasks, Watching
from imageedit_server.rpc.service import ImageEditService
from imageedit_server.store.sqlite.group_commit import COMMITTING
from tests.rpc.calls import Outcome, assert_presentable, call
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "SELECT key FROM /root/secrets.py"


def gone(*_arguments: object, **_options: object) -> None:
    """As grpcio's write ends on a stream that its client closed a moment ago, before the context says so."""
    raise cygrpc.ExecuteBatchError("execute_batch", (), "Failed")


@pytest.mark.parametrize(
    ("method", "place"), [("WatchTask", (Watching, "watch")), ("DownloadImage", (Pictures, "find"))]
)
async def test_a_client_that_went_away_is_no_defect(
    served: Served,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    place: tuple[type, str],
) -> None:
    """P21: nothing is wrong then, and the log says so by saying nothing."""
    monkeypatch.setattr(*place, gone)
    request = {
        "WatchTask": pb.WatchTaskRequest(task_id=world.finished),
        "DownloadImage": pb.DownloadImageRequest(image_id=world.png),
    }[method]
    assert (await call(served.channel, method, request)).code is grpc.StatusCode.CANCELLED
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


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


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_what_the_machine_is_short_of_is_no_defect(
    served: Served, world: World, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """It passes, so the caller is told to come again. Control: any other error of the system is a defect."""

    def fails(number: int) -> Callable[..., None]:
        def find(*_arguments: object, **_options: object) -> None:
            raise OSError(number, SECRET)

        return find

    request = pb.DownloadImageRequest(image_id=world.png)
    monkeypatch.setattr(Pictures, "find", fails(error))
    outcome = await call(served.channel, "DownloadImage", request)
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_BUSY")
    assert SECRET not in outcome.message + str(outcome.trailer)
    monkeypatch.setattr(Pictures, "find", fails(errno.EACCES))
    outcome = await call(served.channel, "DownloadImage", request)
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")


# A store that broke (F22)


async def test_a_disk_that_fails_is_no_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was acknowledged, and the server stops: who comes again finds another one."""

    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, SECRET)

    async with serving(tmp_path, SCRIPTED) as served:
        monkeypatch.setattr(os, "fsync", fsync)
        info, chunk = pb.UploadImageRequest(info={}), pb.UploadImageRequest(chunk=PNG)
        assert_told_to_come_again(await call(served.channel, "UploadImage", info, chunk))
        assert served.server.broken.done()


async def test_a_database_that_fails_is_no_defect(tmp_path: Path) -> None:
    """The call that met it, and every one after it that is not refused for its own sake."""

    def fail() -> None:
        error = sqlite3.OperationalError(SECRET)
        error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
        raise error

    async with serving(tmp_path, SCRIPTED) as served:
        request = pb.EditImageRequest(prompt="x", images=[{"content": PNG}], model="scripted/ok")
        with COMMITTING.heard_by(fail):
            assert_told_to_come_again(await call(served.channel, "EditImage", request))
        assert_told_to_come_again(await call(served.channel, "EditImage", request))
        unknown = pb.GetTaskRequest(task_id="task_" + 32 * "0")
        assert (await call(served.channel, "GetTask", unknown)).code is grpc.StatusCode.NOT_FOUND


def assert_told_to_come_again(outcome: Outcome) -> None:
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert outcome.retry_seconds
    assert SECRET not in outcome.message + str(outcome.trailer)
    assert_presentable(outcome)
