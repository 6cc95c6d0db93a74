"""What must hold after a storm: nothing acked is lost, nobody paid twice, nothing is stuck (P1 to P6)."""

import asyncio
import hashlib
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from imageedit_client import AsyncClient, ImageEditError, Task
from tests.chaos.words import billing_of, is_over, outcomes_of, stage_of, state_of
from tests.history.checker import Patience, Stream, violations
from tests.history.logs import FILE, read_logs
from tests.storm.load import PAID, Promises, create
from tests.storm.tenants import is_short
from tests.storm.vendors import Charge, Vendors

AT_ONCE = 16
LOOK_AGAIN_SECONDS = 0.1
ACCIDENT = re.compile(
    r'^(?:.* (?:ERROR|CRITICAL) .*|.*"level": "(?:error|critical)".*|Traceback .*)$', re.MULTILINE
)
"""In a log for people, in one for machines, or beside either."""


CHECKS = (
    "lost",
    "twice",
    "double-charged",
    "paid-and-lost",
    "kept-and-lost",
    "misbilled",
    "failed",
    "stuck",
    "damaged",
    "crashed",
    "refused",
    "trespassed",
    "grown",
)


@dataclass(frozen=True, slots=True)
class Found:
    """A check that failed: one of ``CHECKS``, or a property of the watch history."""

    check: str
    detail: str


@dataclass(frozen=True, slots=True)
class Tasks:
    """What is wrong with the tasks, and how many ended SUBMIT_OUTCOME_UNKNOWN, which may be right."""

    found: list[Found]
    unknown: int


async def check_served(client: AsyncClient, promises: Promises) -> list[Found]:
    """P1, P3: every upload has its bytes, and every request is still the task that it was."""
    places = asyncio.Semaphore(AT_ONCE)

    async def upload(image_id: str, picture: bytes) -> Found | None:
        async with places:
            try:
                whole = await client.download(image_id) == picture
            except ImageEditError as error:
                return Found("lost", f"upload {image_id}: {error!r}")
            return None if whole else Found("lost", f"upload {image_id} has other bytes")

    async def task(request_id: str) -> Found | None:
        promise = promises.tasks[request_id]
        async with places:
            try:
                again = await create(client, promise.kind, request_id, promise.image_id, promise.seconds)
            except ImageEditError as error:
                return Found("refused", f"{request_id} once more: {error!r}")
        same = again.task_id == promise.task_id
        return None if same else Found("twice", f"{request_id} became {again.task_id}")

    found = await asyncio.gather(
        *(upload(image_id, picture) for image_id, picture in promises.uploads.items()),
        *map(task, promises.tasks),
    )
    return [each for each in found if each]


async def check_tasks(
    client: AsyncClient,
    promises: Promises,
    vendors: Vendors,
    patience_seconds: float,
    is_mine: Callable[[str], bool],
) -> Tasks:
    """P1, P5, P6: a tenant's tasks, whose names ``is_mine`` knows, against what was promised and charged."""
    tasks = await _settled(client, vendors, patience_seconds, is_mine)
    charges = _charges(vendors, is_mine)
    found = [*_promised(tasks, promises), *_paid_for(tasks, charges, vendors)]
    for task in tasks:
        if not (is_short(task.request_id) and task.error.reason == "DEADLINE_EXCEEDED"):
            found += [Found("failed", detail) for detail in _failed(task)]
    found += [Found("lost", detail) for detail in await _unreadable(client, tasks)]
    return Tasks(found, sum(_is_unknown(task) for task in tasks))


async def check_kept(
    client: AsyncClient, kept: Collection[str], patience_seconds: float
) -> tuple[int, list[Found]]:
    """P31: what could not be read at first comes home with a version that can; return how many did."""
    found = []
    for task_id in kept:
        try:
            async with asyncio.timeout(patience_seconds):
                while not _is_home(await client.get(task_id)):  # noqa: ASYNC110  nobody watches an ended task
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
        except TimeoutError:
            found.append(Found("kept-and-lost", _story(await client.get(task_id))))
    return len(kept) - len(found), found


def _charges(vendors: Vendors, is_mine: Callable[[str], bool]) -> dict[str, list[Charge]]:
    charges: defaultdict[str, list[Charge]] = defaultdict(list)
    for charge in vendors.charges():
        if is_mine(charge.name):
            charges[charge.name].append(charge)
    return charges


async def _settled(
    client: AsyncClient, vendors: Vendors, patience_seconds: float, is_mine: Callable[[str], bool]
) -> list[Task]:
    """Return all tasks when each is over and has what it was charged for, or when patience ends."""
    tasks: list[Task] = []
    try:
        async with asyncio.timeout(patience_seconds):
            while True:
                tasks = [task async for task in client.list()]
                found = _paid_for(tasks, _charges(vendors, is_mine), vendors)
                waits_for = [each for each in found if each.check == "paid-and-lost"]
                if all(map(is_over, tasks)) and not waits_for:
                    break
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
    except TimeoutError:
        pass
    return tasks


def _promised(tasks: Sequence[Task], promises: Promises) -> Iterator[Found]:
    by_id = {task.task_id: task for task in tasks}
    for promise in promises.tasks.values():
        if promise.task_id not in by_id:
            yield Found("lost", f"task {promise.task_id} of {promise.request_id}")
    for request_id, times in Counter(task.request_id for task in tasks).items():
        if times > 1:
            yield Found("twice", f"{times} tasks of {request_id!r}")
    for task in tasks:
        if not is_over(task):
            yield Found("stuck", f"{_story(task)}")


def _paid_for(tasks: Sequence[Task], charges: dict[str, list[Charge]], vendors: Vendors) -> Iterator[Found]:
    """P5: one charge per task, since nobody asked for RESUBMIT. P6: what was paid for is at home."""
    by_name = {_name_at_vendor(task): task for task in tasks}
    for name, ledger in charges.items():
        task = by_name.get(name)
        if len(ledger) > 1:
            yield Found("double-charged", f"{name} {len(ledger)} times, {task and _story(task)}")
        if task is None:
            yield Found("lost", f"{name} was charged and is no task")
        elif not (_is_home(task) or _may_be_lost(task, ledger[-1], vendors)):
            yield Found("paid-and-lost", f"{name}: {_story(task)}")
    for task in tasks:
        charged, billing = bool(charges.get(_name_at_vendor(task))), billing_of(task)
        if is_over(task) and (
            (charged and billing == "NOT_CHARGED") or (not charged and billing == "CHARGED")
        ):
            yield Found("misbilled", f"{'charged' if charged else 'not charged'}: {_story(task)}")


def _name_at_vendor(task: Task) -> str:
    return task.user_id or task.prompt.rpartition(" ")[2]


def _is_home(task: Task) -> bool:
    return bool(task.images) or any(attempt.late_images for attempt in task.attempts)


def _may_be_lost(task: Task, charge: Charge, vendors: Vendors) -> bool:
    """Whether P6 allows it: nobody could tell us what became of the call, or nobody wants it any more."""
    if state_of(task) == "CANCELLED":
        return True
    known = any(attempt.vendor_task_id for attempt in task.attempts)
    heard = charge.vendor_task_id in vendors.heard
    return _is_unknown(task) and not known and not heard


def _is_unknown(task: Task) -> bool:
    """P6: the one failure that a crash may cause, told as what it is, also if its picture came later."""
    outcome = "SUCCEEDED" if _is_home(task) else "UNKNOWN"
    told = billing_of(task) == "MAY_HAVE_BEEN_CHARGED" and outcome in outcomes_of(task)[-1:]
    return task.error.reason == "SUBMIT_OUTCOME_UNKNOWN" and told


def _failed(task: Task) -> Iterator[str]:
    """No vendor failed anything here: all other failures are ours."""
    if state_of(task) == "FAILED" and not (_is_unknown(task) and task.provider in PAID):
        yield _story(task)


async def _unreadable(client: AsyncClient, tasks: Sequence[Task]) -> list[str]:
    wrong = [
        f"no picture: {_story(task)}" for task in tasks if state_of(task) == "SUCCEEDED" and not task.images
    ]
    late = [image for task in tasks for attempt in task.attempts for image in attempt.late_images]
    images = [*(image for task in tasks for image in task.images), *late]
    for image_id in {image.image_id for image in images}:
        try:
            await client.download(image_id)  # which checks the digest
        except ImageEditError as error:
            wrong.append(f"result {image_id}: {error!r}")
    return wrong


def _story(task: Task) -> str:
    return (
        f"{task.task_id} {task.request_id} {task.provider} {state_of(task)} {stage_of(task)} "
        f"{task.error.reason} {billing_of(task)} {outcomes_of(task)} "
        f"{[attempt.vendor_task_id for attempt in task.attempts]}"
    )


# The files, when no server has them


FORGOTTEN = """
SELECT task_id FROM task JOIN task_event USING (seq)
WHERE task_event.task = task.number AND json_extract(status, '$.error.reason') = 'SUBMIT_OUTCOME_UNKNOWN'
AND EXISTS (SELECT * FROM task_event WHERE task = number AND json_extract(status, '$.stage') = 'WAITING')
"""
"""Tasks of unknown outcome that had said before that the vendor took them: its id was known, for good."""


def check_log(data: Path, streams: Sequence[Stream], longest_away_seconds: float) -> list[Found]:
    """P9 to P12: what watchers saw against the log. P8: what was known stays known.

    While no server is there nobody hears of an event: twice in a row, where a life was too short for that.
    """
    usual = Patience()
    patience = Patience(
        silence_seconds=usual.silence_seconds + 2 * longest_away_seconds,
        late_seconds=usual.late_seconds + 2 * longest_away_seconds,
    )
    broken = violations(read_logs(data), streams, patience=patience)
    with closing(sqlite3.connect(data / FILE)) as file:
        forgotten = [
            Found("paid-and-lost", f"{task_id} was WAITING") for (task_id,) in file.execute(FORGOTTEN)
        ]
    return [Found(each.property, f"{each.task_id}: {each.detail}") for each in broken] + forgotten


def check_files(data: Path, log: Path) -> list[Found]:
    """The database is sound, every picture on record has its bytes, and no half-written file is left."""
    damaged = [*_damaged_database(data), *_damaged_blobs(data / "images")]
    accidents = ACCIDENT.findall(log.read_text())
    return [Found("damaged", each) for each in damaged] + [Found("crashed", each) for each in accidents]


def _damaged_database(data: Path) -> Iterator[str]:
    with closing(sqlite3.connect(data / FILE)) as file:
        [(answer,)] = file.execute("PRAGMA integrity_check").fetchall()
        if answer != "ok":
            yield f"integrity_check: {answer}"
        if broken := file.execute("PRAGMA foreign_key_check").fetchall():
            yield f"foreign_key_check: {broken}"
        for (image_id,) in file.execute("SELECT image_id FROM image"):
            if not _path(data / "images", image_id.removeprefix("sha256:")).is_file():
                yield f"{image_id} is on record and has no file"


def _damaged_blobs(images: Path) -> Iterable[str]:
    for path in images.rglob("*"):
        if path.parent.name == "tmp":
            yield f"a leftover: {path.name}"
        elif path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() != path.name:
            yield f"{path.name} has other bytes"


def _path(images: Path, digest: str) -> Path:
    return images / digest[:2] / digest
