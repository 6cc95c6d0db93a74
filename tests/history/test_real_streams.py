"""Real streams of a real server: nothing is wrong with ours, and whatever is done to it is seen."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imageedit_server.core.task import Event
from imageedit_server.editing.watching import Heartbeat, Watching
from tests.history.checker import violations
from tests.history.logs import read_logs
from tests.history.recorder import Recorder
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.world import create, upload

Item = Event | Heartbeat
Stream = AsyncGenerator[Item, None]
Watch = Callable[..., Stream]

STEPS = 6
TASKS = 3
SLOWLY = f"{SCRIPTED}seconds = 0.1\nsteps = {STEPS}\n"


async def leaves_out(items: Stream) -> Stream:
    """Every third event."""
    async for item in items:
        if item.seq % 3 or _is_over(item):
            yield item


async def repeats(items: Stream) -> Stream:
    async for item in items:
        yield item
        if not _is_over(item):
            yield item


async def swaps(items: Stream) -> Stream:
    """The first two that come."""
    first, second = await anext(items), await anext(items)
    for item in (second, first):
        yield item
    async for item in items:
        yield item


async def alters(items: Stream) -> Stream:
    async for item in items:
        if isinstance(item, Event):
            status = replace(item.task.status, progress_percent=item.task.status.progress_percent // 2 + 1)
            item = replace(item, task=replace(item.task, status=status))  # noqa: PLW2901
        yield item


async def gives_up(items: Stream) -> Stream:
    """After two, as if all were said."""
    yield await anext(items)
    yield await anext(items)


async def goes_on(items: Stream) -> Stream:
    async for item in items:
        yield item
    yield Heartbeat(item.seq)


async def never_ends(items: Stream) -> Stream:
    async for item in items:
        yield item
    await asyncio.Event().wait()


async def beats_ahead(items: Stream) -> Stream:
    async for item in items:
        yield Heartbeat(item.seq)
        yield item


def _is_over(item: Item) -> bool:
    return isinstance(item, Event) and item.task.status.state.terminal


STREAM_BUGS: dict[Callable[[Stream], Stream], str] = {
    leaves_out: "RELIABLE",
    repeats: "UNIQUE",
    swaps: "ORDERED",
    alters: "FAITHFUL",
    gives_up: "OK_ONLY_AFTER_TERMINAL",
    goes_on: "NOTHING_AFTER_TERMINAL",
    never_ends: "LIVENESS",
    beats_ahead: "BOOKMARKABLE",
}


def resumes_one_early(watch: Watch) -> Watch:
    return lambda self, tenant, task_id, seq: watch(self, tenant, task_id, max(seq - 1, 0))


def resumes_one_late(watch: Watch) -> Watch:
    return lambda self, tenant, task_id, seq: watch(self, tenant, task_id, seq + (seq == 1))


def watches_another(watch: Watch) -> Watch:
    """The task that was asked for first."""
    first: list[str] = []

    def any_task(self: Watching, tenant: str, task_id: str, seq: int) -> Stream:
        first.append(task_id)
        return watch(self, tenant, first[0], seq)

    return any_task


WATCH_BUGS: dict[Callable[[Watch], Watch], str] = {
    resumes_one_early: "RESUMABLE",
    resumes_one_late: "RESUMABLE",
    watches_another: "ISOLATION",
}


async def test_nothing_is_wrong_with_ours(tmp_path: Path) -> None:
    """P9 to P12: watchers that stay, leave and come back."""
    assert await broken(tmp_path) == set()


@pytest.mark.parametrize("bug", STREAM_BUGS, ids=lambda bug: bug.__name__)
async def test_a_broken_stream_is_seen(
    bug: Callable[[Stream], Stream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Watching.watch
    monkeypatch.setattr(Watching, "watch", lambda *arguments: bug(honest(*arguments)))
    grace_seconds = 1 if bug is never_ends else 20
    assert STREAM_BUGS[bug] in await broken(tmp_path, grace_seconds=grace_seconds)


@pytest.mark.parametrize("bug", WATCH_BUGS, ids=lambda bug: bug.__name__)
async def test_a_broken_resume_is_seen(
    bug: Callable[[Watch], Watch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watching, "watch", bug(Watching.watch))
    assert WATCH_BUGS[bug] in await broken(tmp_path)


async def broken(folder: Path, *, grace_seconds: float = 20) -> set[str]:
    """Serve, watch some tasks in several ways, and return the properties that do not hold."""
    recorder = Recorder()
    async with serving(folder, SLOWLY) as served:
        image_id = await upload(served, PNG)
        tasks = [(await create(served, image_id)).task_id for _ in range(TASKS)]
        watchers = [asyncio.create_task(_watch(recorder, served, task_id)) for task_id in tasks]
        await served.stored()  # when nothing moves any more
        _, open_still = await asyncio.wait(watchers, timeout=grace_seconds)
        for watcher in open_still:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        logs = read_logs(served.data_dir)
    return {violation.property for violation in violations(logs, recorder.streams)}


async def _watch(recorder: Recorder, served: Served, task_id: str) -> None:
    """Watch it all, watch from the second event on, and leave and come back."""

    async def leave_and_come_back() -> None:
        stood = await recorder.watch(served.stub, task_id, most=3)
        await recorder.watch(served.stub, task_id, stood.position)

    async with asyncio.TaskGroup() as group:
        group.create_task(recorder.watch(served.stub, task_id))
        group.create_task(recorder.watch(served.stub, task_id, 1))
        group.create_task(leave_and_come_back())
