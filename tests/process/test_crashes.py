"""kill -9 of a real server in the middle of tasks: a restart loses and repeats nothing (F1 to F14)."""

import asyncio
import time
from pathlib import Path

import pytest

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient, NotFound, Pace
from tests.figures import Figures
from tests.process.watching import SUCCEEDED, Story, assert_paid_once, assert_told_once, follow
from tests.rpc.pictures import PNG
from tests.rpc.waiting import eventually
from tests.servers.places import Place
from tests.servers.processes import KILLED, Servers

TASKS = 100
PATIENT = Pace(call_seconds=200, patience_seconds=200)


async def test_tasks_and_watchers_survive_kill_9(servers: Servers, place: Place, figures: Figures) -> None:
    """Killing the server mid-way changes nothing for its clients but the delay."""
    place = Place(folder=place.folder, seconds=1.0, steps=8)
    server = await servers.start(place)
    standby = await servers.standby(place)
    seen: asyncio.Queue[float] = asyncio.Queue()
    stories: list[Story] = []

    async def work(client: AsyncClient, image_id: str) -> None:
        task = await client.edit_image("make it warmer", [image_id])
        story = Story()
        stories.append(story)
        story.task_id = task.task_id
        async for event in client.watch(task.task_id):
            story.events.append(event)
            seen.put_nowait(time.monotonic())

    async with AsyncClient(server.grpc, pace=PATIENT) as client:
        image = await client.upload(PNG)
        working = asyncio.gather(*(work(client, image.image_id) for _ in range(TASKS)))
        for _ in range(TASKS * 3):  # some are done, most are not, and more wait in the queue
            await seen.get()
        await server.kill()
        killed = time.monotonic()
        while not seen.empty():
            seen.get_nowait()
        finished = sum(story.events[-1].task.state == SUCCEEDED for story in stories if story.events)
        assert finished < TASKS
        again = await standby.begin(server.grpc)
        serving = time.monotonic()
        await working  # the lease of an hour is not waited for: the file lock proves its owner dead (P7)
        first = await seen.get()
        assert len({story.task_id for story in stories}) == TASKS
        for story in stories:
            assert story.last.state == SUCCEEDED
            assert_paid_once(story.last)
            await assert_told_once(client, story)
        listed = [task.task_id async for task in client.list()]
        assert sorted(listed) == sorted(story.task_id for story in stories)
    figures.line(
        "crash and restart",
        f"kill -9 with {TASKS} tasks: ready after {serving - killed:.2f} s, next event after"
        f" {first - killed:.2f} s; peak memory {again.memory_kib() / 1024:.0f} MiB",
    )
    assert "Traceback" not in again.stderr()


# At named points: one edit meets them all, one after the other

POINTS = (
    ("upload_before_fsync", "F3: the bytes are written, none is promised"),
    ("upload_after_rename", "F4: the file is durable, nothing speaks of it"),
    ("upload_before_row", "F4: the same, a step later"),
    ("create_before_commit", "F1: nothing is stored; the retry makes exactly one task"),
    ("create_after_commit", "F2: stored, not answered; the retry answers it"),
    *[("claim_before_intent", "F5, F14: claimed, nobody works on it; and again while that is taken up")] * 5,
    ("submit_before_intent", "F5: prepared, nothing is paid"),
    ("submit_after_intent", "F6: the intent is durable, the call did not leave"),
    ("submit_after_reply", "F8: the reply is read, nothing is stored"),
    ("download_before_commit", "F12: the result is a file, the task does not know"),
    ("download_after_commit", "F13: finished, no watcher saw it"),
)


async def test_one_edit_survives_a_kill_at_every_point(servers: Servers, place: Place) -> None:
    """Its client sees only a delay: one task, one attempt, one story; the store holds one of each."""
    place = Place(folder=place.folder, seconds=0, steps=2)

    server = await servers.start(place, failpoint=POINTS[0][0])
    address = server.grpc
    async with AsyncClient(address, pace=PATIENT) as client:

        async def whole() -> Story:
            task = await client.edit_image("make it warmer", [PNG])
            return await follow(client, task.task_id)

        working = asyncio.ensure_future(whole())
        for (name, meaning), (following, _) in zip(POINTS, [*POINTS[1:], ("", "")], strict=True):
            assert await server.ended() == KILLED, (name, meaning)
            if name == "upload_before_fsync":
                assert len(_files(place)) == 1
            server = await servers.run(*place.arguments(address), failpoint=following)
        story = await working
        assert story.last.state == SUCCEEDED
        assert story.last.billing == task_pb2.Task.BILLING_NOT_CHARGED
        assert_paid_once(story.last)
        await assert_told_once(client, story)
        assert [task.task_id async for task in client.list()] == [story.task_id]
        assert await client.download(story.last.images[0].image_id) == PNG
    assert _files(place) == {story.last.images[0].image_id.removeprefix("sha256:")}


async def test_a_kill_after_the_vendor_took_it_polls_on(servers: Servers, place: Place) -> None:
    """F9: the vendor's id is stored; after the restart the same attempt is polled, till it is cancelled."""
    server, standby = await asyncio.gather(
        servers.start(place, failpoint="submit_after_accepted"), servers.standby(place)
    )
    async with AsyncClient(server.grpc, pace=PATIENT) as client:
        task = await client.edit_image("make it warmer", [PNG], model="scripted/never")
        working = asyncio.ensure_future(follow(client, task.task_id))
        assert await server.ended() == KILLED
        await standby.begin(server.grpc)
        accepted = await client.get(task.task_id)
        assert accepted.attempts[0].vendor_task_id
        cancelled = await client.cancel(task.task_id)
        assert cancelled.attempts[0].vendor_task_id == accepted.attempts[0].vendor_task_id
        story = await working
        assert_paid_once(story.last)
        await assert_told_once(client, story)


@pytest.mark.parametrize("failpoint", ["erase_after_commit", "erase_after_bytes"])
async def test_what_a_kill_left_of_an_erased_task_goes_at_the_next_start(
    servers: Servers, place: Place, failpoint: str
) -> None:
    """The rows are gone, or the bytes too; the rest goes without being asked for again."""
    place = Place(folder=place.folder, seconds=0, steps=2)
    server = await servers.start(place, failpoint=failpoint)
    async with AsyncClient(server.grpc, pace=PATIENT) as client:
        task = await client.edit_image("a secret", [PNG])
        await follow(client, task.task_id)
        deleting = asyncio.ensure_future(client.delete(task.task_id))
        assert await server.ended() == KILLED
        deleting.cancel()
    assert len(_files(place)) == (failpoint == "erase_after_commit")
    again = await servers.start(place)
    async with AsyncClient(again.grpc, pace=PATIENT) as client:
        with pytest.raises(NotFound):
            await client.get(task.task_id)
    await eventually(lambda: not _files(place) and not _says(place, "a secret"))


def _says(place: Place, text: str) -> bool:
    """Whether any file of the database has a text in it."""
    return any(text.encode() in path.read_bytes() for path in place.data_dir.glob("imageedit.sqlite3*"))


def _files(place: Place) -> set[str]:
    """Names of the files of the image library."""
    return {path.name for path in Path(place.data_dir / "images").rglob("*") if path.is_file()}
