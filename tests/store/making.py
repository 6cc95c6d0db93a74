"""Nouns for tests of the store: what is left out is ordinary."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from imageedit_server.core import transitions
from imageedit_server.core.image import Image, image_id_of
from imageedit_server.core.request import Kind, Request
from imageedit_server.core.task import Attempt, Status, Task, new_task_id
from imageedit_server.store.attempts import AttemptKey, begin_attempt
from imageedit_server.store.claims import Claimed, claim
from imageedit_server.store.creation import NewTask, create_task
from imageedit_server.store.database import Database
from imageedit_server.store.queries import events_after, find_task

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=1)
LEASE = timedelta(seconds=30)
TENANT = "acme"
PLENTY = 1000


def image(seed: object = 0) -> Image:
    """An image of its own for every seed."""
    digest = sha256(repr(seed).encode()).hexdigest()
    return Image(image_id=image_id_of(digest), media_type="image/png", width=4, height=3, size_bytes=70)


def new_task(
    *,
    tenant: str = TENANT,
    body: str = "body",
    now: datetime = NOW,
    timeout: timedelta = timedelta(minutes=15),
    **request: Any,
) -> NewTask:
    """A task to create; ``request`` are fields of its request."""
    fields = {"kind": Kind.EDIT_IMAGE, "provider": "p", "model": "p/m", "prompt": "brighter"} | request
    return NewTask(
        task_id=new_task_id(),
        tenant=tenant,
        request=Request(**fields),
        status=Status(),
        method="EDIT_IMAGE",
        body_sha256=body,
        create_time=now,
        deadline=now + timeout,
    )


async def create(database: Database, **fields: Any) -> Task:
    """Create a task."""
    return await database.write(create_task, new_task(**fields))


async def claim_all(
    database: Database,
    now: datetime = NOW,
    *,
    most: int = PLENTY,
    free: dict[str, int] | None = None,
    lease_until: datetime | None = None,
) -> list[Claimed]:
    """Claim what there is, of provider ``p`` unless told otherwise."""
    claims = await database.write(
        claim,
        now=now,
        lease_until=lease_until or now + LEASE,
        free_by_provider={"p": PLENTY} if free is None else free,
        most=most,
    )
    return list(claims.claimed)


async def claimed_task(database: Database, **fields: Any) -> Claimed:
    """Create a task and claim it."""
    task = await create(database, **fields)
    claimed = {each.task.task_id: each for each in await claim_all(database)}
    return claimed[task.task_id]


def attempt(number: int = 1, provider: str = "p") -> Attempt:
    """An attempt that is about to be paid."""
    return Attempt(number=number, provider=provider, submit_time=NOW)


async def submitted(database: Database, token: str = "", **fields: Any) -> tuple[Claimed, AttemptKey]:
    """Create a task, claim it and begin its first attempt."""
    claimed = await claimed_task(database, **fields)
    token = token or claimed.task.task_id
    await database.write(begin_attempt, claimed.lease, attempt(), token, lambda status, _: status)
    return claimed, AttemptKey(claimed.task.task_id, 1)


def finish(status: Status, now: datetime) -> Status:
    """End a task well."""
    return transitions.succeed(status, now, (image("result"),))


async def state_of(database: Database, task_id: str) -> tuple[str, int]:
    """Return the state and the last seq of a task."""
    task = await database.read(find_task, task_id)
    return task.status.state.value, task.seq


async def history(database: Database, task_id: str) -> list[tuple[int, str]]:
    """Return seq and state of every event of a task."""
    events = await database.read(events_after, task_id, 0, PLENTY)
    return [(event.seq, event.task.status.state.value) for event in events]
