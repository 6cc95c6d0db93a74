"""Get, list and cancel, each within its tenant (P22, F65 to F69, F86)."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator

import pytest

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.task import Stage, State
from imageedit_server.editing import Tasks
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.editing.tasks import MAX_PAGE
from imageedit_server.providers.base import InProgress, Report
from tests.editing.moving import OTHER, UNKNOWN, all_of, finished
from tests.engine.house import INPUT, TENANT, House, Vendor
from tests.store.making import claimed_task, create, image

# Lists


async def test_pages_follow_one_another(idle: House) -> None:
    ids = [(await create(idle.database)).task_id for _ in range(7)]
    seen, token = [], ""
    for size in (3, 3, 1):
        page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=3, page_token=token)
        assert len(page.tasks) == size
        seen += [task.task_id for task in page.tasks]
        token = page.next_token
        await create(idle.database)
    assert token == ""
    assert seen == ids[::-1]


async def test_a_page_that_is_just_full_is_the_last(idle: House) -> None:
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=3, page_token="")
    assert (len(page.tasks), page.next_token) == (3, "")


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (51, 51), (2**31 - 1, 51)])
async def test_page_sizes(idle: House, asked: int, given: int) -> None:
    assert MAX_PAGE == 1000
    for _ in range(51):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=asked, page_token="")
    assert len(page.tasks) == given


BAD_TOKENS = [
    "x",
    "MQ",
    "MQ==x",
    "MQ== ",
    "LTE=",
    "MA==",
    "MDE=",
    "IDE=",
    "OTk5OTk5OTk5OTk5OTk5OTk5OTk=",
    "４",
    "\0",
    "MS4w",
    "77yR",
]


@pytest.mark.parametrize("token", BAD_TOKENS)
async def test_a_token_that_is_none_is_refused(idle: House, token: str) -> None:
    with pytest.raises(Refusal) as refused:
        await idle.tasks.list(TENANT, user_id="", states=(), page_size=0, page_token=token)
    assert refused.value.reason is Reason.INVALID_FIELD
    assert [violation.field for violation in refused.value.violations] == ["page_token"]


async def test_a_token_tells_nothing(idle: House) -> None:
    """P22: what stands behind it counts the tasks of all tenants; equal lists of others have other tokens."""
    tokens = set()
    for tenant in (TENANT, OTHER):
        for _ in range(3):
            await create(idle.database, tenant=tenant)
        page = await idle.tasks.list(tenant, user_id="", states=(), page_size=2, page_token="")
        tokens.add(page.next_token)
        sealed = base64.urlsafe_b64decode(page.next_token)
        assert not any(number.to_bytes(4, "big") in sealed for number in range(10))
        assert not re.search(rb"[0-9]{3}", sealed)
    assert len(tokens) == 2


@pytest.mark.parametrize(
    ("user_id", "states", "good"),
    [
        ("u", (State.QUEUED, State.RUNNING), True),
        ("u", (State.RUNNING, State.QUEUED, State.QUEUED), True),
        ("", (State.QUEUED, State.RUNNING), False),
        ("u", (State.QUEUED,), False),
        ("u", (), False),
    ],
)
async def test_a_token_is_of_use_for_its_list_alone(
    idle: House, user_id: str, states: tuple[State, ...], good: bool
) -> None:
    """With the filters that it was given for, in any order, and with any page size."""
    for _ in range(3):
        await create(idle.database, user_id="u")
    asked = {"user_id": "u", "states": (State.QUEUED, State.RUNNING), "page_token": ""}
    token = (await idle.tasks.list(TENANT, page_size=1, **asked)).next_token  # type: ignore[arg-type]
    next_page = idle.tasks.list(TENANT, user_id=user_id, states=states, page_size=2, page_token=token)
    if good:
        assert len((await next_page).tasks) == 2
    else:
        with pytest.raises(Refusal) as refused:
            await next_page
        assert [violation.field for violation in refused.value.violations] == ["page_token"]


@pytest.mark.parametrize("change", ["first bit", "last bit", "shorter", "longer", "other key"])
async def test_a_token_that_was_tampered_with_is_refused(idle: House, change: str) -> None:
    """Whoever does not have the key can make none, nor turn one into another."""
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=1, page_token="")
    sealed, tasks = bytearray(base64.urlsafe_b64decode(page.next_token)), idle.tasks
    if change == "first bit":
        sealed[0] ^= 0x80
    elif change == "last bit":
        sealed[-1] ^= 1
    elif change == "shorter":
        del sealed[-1]
    elif change == "longer":
        sealed += b"\0"
    else:
        tasks = Tasks(idle.database, idle.clock, PageTokens(b"another"))
    token = base64.urlsafe_b64encode(sealed).decode()
    with pytest.raises(Refusal):
        await tasks.list(TENANT, user_id="", states=(), page_size=1, page_token=token)


async def test_a_negative_page_size_is_refused(idle: House) -> None:
    with pytest.raises(Refusal) as refused:
        await idle.tasks.list(TENANT, user_id="", states=(), page_size=-1, page_token="")
    assert [violation.field for violation in refused.value.violations] == ["page_size"]


async def test_filters(idle: House) -> None:
    mine = await create(idle.database, user_id="u")
    await create(idle.database, user_id="v")
    done = await finished(idle)

    async def listed(user_id: str = "", states: tuple[State, ...] = ()) -> list[str]:
        page = await idle.tasks.list(TENANT, user_id=user_id, states=states, page_size=0, page_token="")
        return [task.task_id for task in page.tasks]

    assert await listed(user_id="u") == [mine.task_id]
    assert await listed(states=(State.SUCCEEDED, State.SUCCEEDED)) == [done]
    assert await listed(states=(State.CANCELLED,)) == []
    assert await listed(user_id="u", states=(State.SUCCEEDED,)) == []


# Tenants


async def test_what_is_anothers_looks_missing(idle: House) -> None:
    """P22, F86: every call on every kind of id, equal to the byte; nothing of it is in another's lists."""
    task_id = await finished(idle)
    running = (await claimed_task(idle.database)).task.task_id
    picture = image("result")

    async def answers(tenant: str, task: str, image_id: str) -> list[tuple[object, ...]]:
        calls = [
            idle.tasks.get(tenant, task),
            idle.tasks.cancel(tenant, task),
            all_of(idle.watching.watch(tenant, task, 0)),
            all_of(idle.watching.watch(tenant, task, 99)),
            idle.pictures.find(tenant, image_id),
        ]
        found: list[tuple[object, ...]] = []
        for call in calls:
            with pytest.raises(Refusal) as refused:
                await call
            error = refused.value
            found.append((error.reason, error.message, error.violations, error.retry_after_seconds))
        return found

    missing = await answers(OTHER, UNKNOWN, f"sha256:{'0' * 64}")
    assert await answers(OTHER, task_id, picture.image_id) == missing
    assert await answers(OTHER, running, picture.image_id) == missing
    for malformed in (
        "",
        "task_",
        task_id.upper(),
        f"{task_id}\n",
        f" {task_id}",
        "x" * 10**6,
        "task_\0",
        "％",
    ):
        assert await answers(TENANT, malformed, f"sha256:{'0' * 64}") == missing
    page = await idle.tasks.list(OTHER, user_id="", states=(), page_size=0, page_token="")
    assert page.tasks == ()
    assert (await idle.get(running)).status.state is State.RUNNING


async def test_a_token_of_anothers_list_is_answered_like_none(idle: House) -> None:
    for _ in range(3):
        await create(idle.database)
    page = await idle.tasks.list(TENANT, user_id="", states=(), page_size=1, page_token="")
    told = set()
    for token in (page.next_token, "x"):
        with pytest.raises(Refusal) as refused:
            await idle.tasks.list(OTHER, user_id="", states=(), page_size=9, page_token=token)
        told.add((refused.value.reason, refused.value.message))
    assert len(told) == 1


# Cancel


async def test_cancel_is_idempotent_and_answers_what_is_stored(house: House, vendor: Vendor) -> None:
    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.poll = never
    task_id = await house.create()
    await house.reached(task_id, Stage.WAITING)
    answers = await asyncio.gather(*(house.tasks.cancel(TENANT, task_id) for _ in range(10)))
    assert answers == [await house.get(task_id)] * 10
    assert isinstance(house.tasks, Tasks)


# Pictures


async def test_an_upload_is_the_tenants_and_read_from_any_offset(idle: House) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(INPUT), 10):
            yield INPUT[start : start + 10]

    stored = await idle.pictures.upload(TENANT, chunks(), expected_sha256="")
    assert await idle.pictures.find(TENANT, stored.image_id) == stored
    for offset in (0, 1, len(INPUT) - 1, len(INPUT)):
        found = b"".join([chunk async for chunk in idle.pictures.read(stored, offset)])
        assert found == INPUT[offset:]
    for offset in (-1, len(INPUT) + 1, 2**63 - 1):
        with pytest.raises(Refusal) as refused:
            idle.pictures.read(stored, offset)
        assert refused.value.reason is Reason.OFFSET_OUT_OF_RANGE


@pytest.mark.parametrize("content", [b"", b"text"])
async def test_a_refused_upload_gives_no_right_to_anything(idle: House, content: bytes) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    with pytest.raises(Refusal) as refused:
        await idle.pictures.upload(TENANT, chunks(), expected_sha256="")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
