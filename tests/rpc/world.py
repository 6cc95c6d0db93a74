"""What stands in the store before a call is refused: images, and a task in every state that matters."""

from dataclasses import dataclass

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from tests.rpc.pictures import JPEG, PNG, mask
from tests.rpc.serving import Served

USER = "user-1"


@dataclass(frozen=True, slots=True)
class World:
    """Ids to name in requests."""

    png: str
    jpeg: str
    mask: str
    finished: str
    unfinished: str
    failed: str
    cancelled: str
    last_seq: int


async def build_world(served: Served) -> World:
    """Make one of each."""
    stub = served.stub
    png, jpeg, masking = [await upload(served, data) for data in (PNG, JPEG, mask())]
    finished = await finish(served, await create(served, png, model="scripted/ok"))
    failed = await finish(served, await create(served, png, model="scripted/fail"))
    unfinished = await create(served, png, model="scripted/never")
    await reach(served, unfinished.task_id, task_pb2.Task.STAGE_WAITING)
    doomed = await create(served, png, model="scripted/never")
    cancelled = (await stub.CancelTask(pb.CancelTaskRequest(task_id=doomed.task_id))).task
    assert finished.state == task_pb2.Task.STATE_SUCCEEDED
    assert failed.state == task_pb2.Task.STATE_FAILED
    assert cancelled.state == task_pb2.Task.STATE_CANCELLED
    return World(
        png=png,
        jpeg=jpeg,
        mask=masking,
        finished=finished.task_id,
        unfinished=unfinished.task_id,
        failed=failed.task_id,
        cancelled=cancelled.task_id,
        last_seq=finished.seq,
    )


async def upload(served: Served, data: bytes) -> str:
    """Upload a small picture and return its id."""
    messages = [
        pb.UploadImageRequest(info=image_pb2.UploadImageInfo()),
        pb.UploadImageRequest(chunk=data),
    ]
    return (await served.stub.UploadImage(iter(messages))).image.image_id


async def create(served: Served, image_id: str, **fields: object) -> task_pb2.Task:
    """Start an edit."""
    return (await served.stub.EditImage(edit(image_id, **fields))).task


def edit(image_id: str, **fields: object) -> pb.EditImageRequest:
    """An edit of a stored image with everything it needs; ``fields`` replace or add."""
    given: dict[str, object] = {
        "prompt": "make it warmer",
        "images": [image_pb2.ImageSource(image_id=image_id)],
        **fields,
    }
    return pb.EditImageRequest(**given)  # type: ignore[arg-type]  # the rows are the types' own test


async def finish(served: Served, task: task_pb2.Task) -> task_pb2.Task:
    """Follow a task to its end."""
    last = task
    async for response in served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id), timeout=60):
        last = response.event.task if response.HasField("event") else last
    return last


async def reach(served: Served, task_id: str, stage: task_pb2.Task.Stage) -> task_pb2.Task:
    """Follow a task to a stage."""
    watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id), timeout=60)
    async for response in watch:
        if response.event.task.stage == stage:
            watch.cancel()
            return response.event.task
    raise AssertionError(f"{task_id} ended before {task_pb2.Task.Stage.Name(stage)}")
