"""A server is started on what a power failure left; everything that was promised must be there, and go on."""

import asyncio
import hashlib
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient, ImageEditError, Pace
from imageedit_server.store.database import StoreRefused
from tests.powerloss.launch import DATA, Start
from tests.powerloss.workload import Created, Promises, Vendor, edit

PATIENCE_SECONDS = 60.0
PATIENT = Pace(call_seconds=PATIENCE_SECONDS, patience_seconds=PATIENCE_SECONDS)
UNKNOWN = "SUBMIT_OUTCOME_UNKNOWN"
"""How a task may end of which a crash made us forget whether the vendor was paid (P6)."""


@dataclass
class Verdict:
    """What was wrong with one image; empty sets are good."""

    promised: Promises
    refused: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    lost_tasks: set[str] = field(default_factory=set)
    lost_images: set[str] = field(default_factory=set)
    changed_stories: set[str] = field(default_factory=set)
    second_tasks: set[str] = field(default_factory=set)
    double_charged: set[str] = field(default_factory=set)
    badly_ended: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)

    def wrong(self) -> dict[str, set[str]]:
        """Return every kind of wrong that there was."""
        return {name: found for name, found in vars(self).items() if name != "promised" and found}


async def judge(disk: Path, promised: Promises, vendor: Vendor, start: Start) -> Verdict:
    """Start a server there, hold it to what was promised, and stop it."""
    verdict = Verdict(promised)
    charges = Counter(charged.prompt for charged in promised.charged)
    try:
        with vendor.telling(lambda prompt: charges.update([prompt])):
            async with start(disk, vendor) as address, AsyncClient(address, pace=PATIENT) as client:
                await _hold_to(client, verdict)
    except StoreRefused as error:
        verdict.refused.add(str(error))
        verdict.lost_tasks = {task.task_id for task in promised.created}
        verdict.lost_images = promised.images()
        return verdict
    verdict.double_charged = {prompt for prompt, times in charges.items() if times > 1}
    verdict.damaged = _integrity(disk)
    return verdict


async def _hold_to(client: AsyncClient, verdict: Verdict) -> None:
    promised = verdict.promised
    found = {task.task_id async for task in client.list()}
    verdict.lost_tasks = {task.task_id for task in promised.created} - found
    async with asyncio.TaskGroup() as group:
        for task_id in found:
            group.create_task(_follow(client, task_id, verdict))
        for image_id in promised.images():
            group.create_task(_download(client, image_id, verdict))
        for created in promised.created:
            if created.task_id in found:
                group.create_task(_ask_again(client, created, verdict))


async def _follow(client: AsyncClient, task_id: str, verdict: Verdict) -> None:
    """P9: the log is gapless and begins as it was seen. P5, P6: the task ends, with a picture or in doubt."""
    events: list[task_pb2.TaskEvent] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            events = [event async for event in client.watch(task_id)]
    except (TimeoutError, ImageEditError) as error:
        verdict.stuck.add(f"{task_id} {error!r}")
        return
    seen = [each.event for each in verdict.promised.seen if each.event.task.task_id == task_id]
    if [event.seq for event in events] != list(range(1, len(events) + 1)) or events[: len(seen)] != seen:
        verdict.changed_stories.add(task_id)
    last = events[-1].task
    if last.state == task_pb2.Task.STATE_SUCCEEDED:
        for image in last.images:
            await _download(client, image.image_id, verdict)
    elif last.error.reason != UNKNOWN:
        verdict.badly_ended.add(f"{task_id} {last.error.reason} {last.error.message}")


async def _download(client: AsyncClient, image_id: str, verdict: Verdict) -> None:
    try:
        content = await client.download(image_id)
    except ImageEditError as error:
        verdict.lost_images.add(f"{image_id} {error.reason}")
    else:
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != image_id:
            verdict.lost_images.add(f"{image_id} has other bytes")


async def _ask_again(client: AsyncClient, created: Created, verdict: Verdict) -> None:
    """P3: the same request id is the same task."""
    again = await edit(client, created.request_id, created.image_id)
    if again.task_id != created.task_id:
        verdict.second_tasks.add(f"{created.task_id} {again.task_id}")


def _integrity(disk: Path) -> set[str]:
    with closing(sqlite3.connect(disk / DATA / "imageedit.sqlite3")) as connection:
        return {row[0] for row in connection.execute("PRAGMA integrity_check")} - {"ok"}
