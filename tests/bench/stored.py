"""Tasks stored in bulk, through the product's own tables and with their guards on.

``python -m tests.bench.stored DATA_DIR TASKS EVENTS QUEUED`` makes a data directory as if the service had
finished so many edits of so many events each, and had others still in the queue. It runs under the
interpreter of the server that is measured.
"""

import asyncio
import hashlib
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, literal, select, update

from imageedit_server.core.charge import Billing
from imageedit_server.core.image import Image
from imageedit_server.core.request import DEFAULT_TIMEOUT, Input, Kind, Request
from imageedit_server.core.task import Attempt, Outcome, Stage, State, Status
from imageedit_server.store import codec
from imageedit_server.store.creation import add_images
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.tables import ATTEMPT, EVENT, IDEMPOTENCY, TASK, TASK_IMAGE, to_micros

TENANT = "default"
PROVIDER = "scripted"
QUEUE = "busy"
"""The provider that the queued tasks wait for."""
USERS = 10
CHUNK = 5_000
PICTURE = Image(image_id=f"sha256:{'ab' * 32}", media_type="image/png", width=64, height=64, size_bytes=300)
NOW = datetime.now(UTC)
BEGIN = NOW - timedelta(hours=1)


def task_id(number: int) -> str:
    """The id of the stored task ``number``, counted from 1; as scattered as real ones."""
    return f"task_{hashlib.sha256(str(number).encode()).hexdigest()[:32]}"


def user_id(number: int) -> str:
    """Whose task it is."""
    return f"user-{number % USERS}"


async def store(folder: Path, tasks: int, events: int, queued: int) -> None:
    """Fill a new database."""
    database = SqliteDatabase(folder, synchronous="OFF")
    await database.open()
    try:
        await database.record(add_images, TENANT, [PICTURE], BEGIN)
        for numbers in _chunks(1, tasks):
            await database.record(_add_finished, numbers, list(_life(events)))
        for numbers in _chunks(tasks + 1, queued):
            await database.record(_add_queued, numbers, f"{QUEUE}/never", NOW + timedelta(days=1))
    finally:
        await database.close()


def _chunks(first: int, size: int) -> Iterator[range]:
    for start in range(first, first + size, CHUNK):
        yield range(start, min(start + CHUNK, first + size))


def _add_queued(connection: Connection, numbers: range, model: str, deadline: datetime) -> None:
    connection.execute(insert(TASK), [_task(number, model, deadline) for number in numbers])
    connection.execute(insert(IDEMPOTENCY), [_idempotency(number) for number in numbers])
    connection.execute(
        insert(TASK_IMAGE),
        [{"tenant": TENANT, "image_id": PICTURE.image_id, "task": number} for number in numbers],
    )
    _log(connection, numbers, 1, Status())


def _add_finished(connection: Connection, numbers: range, life: Sequence[Status]) -> None:
    _add_queued(connection, numbers, f"{PROVIDER}/ok", BEGIN + DEFAULT_TIMEOUT)
    connection.execute(insert(ATTEMPT), [_attempt(number) for number in numbers])
    for seq, status in enumerate(life[1:], 2):
        connection.execute(
            update(TASK)
            .where(TASK.c.number.between(numbers[0], numbers[-1]))
            .values(
                seq=seq, state=status.state.value, end_time=status.end_time and to_micros(status.end_time)
            )
        )
        _log(connection, numbers, seq, status)


def _log(connection: Connection, numbers: range, seq: int, status: Status) -> None:
    row = select(TASK.c.number, literal(seq), TASK.c.create_time + seq, literal(codec.STATUS.dump(status)))
    connection.execute(
        insert(EVENT).from_select(
            ["task", "seq", "time", "status"], row.where(TASK.c.number.between(numbers[0], numbers[-1]))
        )
    )


def _life(events: int) -> Iterator[Status]:
    """The statuses of a task that succeeds: queued, some progress, done."""
    yield Status()
    attempt = Attempt(
        number=1,
        provider=PROVIDER,
        outcome=Outcome.SUCCEEDED,
        billing=Billing.NOT_CHARGED,
        vendor_task_id="vendor-0123456789abcdef",
        submit_time=BEGIN,
        end_time=BEGIN,
    )
    for step in range(events - 2):
        yield Status(
            state=State.RUNNING,
            stage=Stage.WAITING,
            progress_percent=100 * step // events,
            attempts=(attempt,),
            start_time=BEGIN,
        )
    yield Status(
        state=State.SUCCEEDED,
        progress_percent=100,
        images=(PICTURE,),
        billing=Billing.NOT_CHARGED,
        attempts=(attempt,),
        start_time=BEGIN,
        end_time=BEGIN,
    )


def _task(number: int, model: str, deadline: datetime) -> dict[str, Any]:
    request = Request(
        kind=Kind.EDIT_IMAGE,
        request_id=f"request-{number}",
        user_id=user_id(number),
        model=model,
        provider=model.split("/", maxsplit=1)[0],
        prompt="make it black and white, and blur what is behind her",
        images=(Input(image=PICTURE),),
    )
    return {
        "number": number,
        "task_id": task_id(number),
        "tenant": TENANT,
        "user_id": request.user_id,
        "provider": request.provider,
        "state": State.QUEUED.value,
        "seq": 1,
        "request": codec.REQUEST.dump(request),
        "create_time": to_micros(BEGIN) + number,
        "deadline": to_micros(deadline),
        "not_before": 0,
        "lease_token": 0,
        "lease_until": None,
        "end_time": None,
    }


def _idempotency(number: int) -> dict[str, Any]:
    return {
        "tenant": TENANT,
        "method": Kind.EDIT_IMAGE.value,
        "request_id": f"request-{number}",
        "body_sha256": hashlib.sha256(str(number).encode()).hexdigest(),
        "task": number,
    }


def _attempt(number: int) -> dict[str, Any]:
    return {
        "task": number,
        "number": 1,
        "provider": PROVIDER,
        "token_sha256": hashlib.sha256(f"token {number}".encode()).hexdigest(),
        "outcome": Outcome.SUCCEEDED.value,
        "billing": Billing.NOT_CHARGED.value,
        "vendor_task_id": f"{task_id(number)}-1",
        "vendor_request_id": "",
        "error": None,
        "submit_time": to_micros(BEGIN),
        "end_time": to_micros(BEGIN),
        "result_urls": None,
        "late_images": "[]",
        "kept_bytes": 0,
    }


if __name__ == "__main__":
    asyncio.run(store(Path(sys.argv[1]), *map(int, sys.argv[2:])))
