"""Every ``Database``: a request_id stands for one task, and what is refused leaves nothing (P1, P3)."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Transparency
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, Options, SeedreamOptions
from imageedit_server.core.request import BodyProfile, Input, Kind, OnUnknown, Request
from imageedit_server.core.task import State, Status
from imageedit_server.store.creation import add_images, create_task, find_by_request_id
from imageedit_server.store.database import Database
from imageedit_server.store.queries import get_image, get_task
from imageedit_server.store.tables import EVENT, IDEMPOTENCY, IMAGE, TASK
from tests.contracts.databases import Member
from tests.store.making import NOW, TENANT, create, history, image, new_task

TWINS = 64
ROUNDS = 12


def _rows(connection: Connection) -> dict[str, int]:
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (TASK, EVENT, IDEMPOTENCY, IMAGE)
    }


async def test_a_new_task_is_there_with_its_first_event(database: Database) -> None:
    task = await create(database, user_id="u")
    assert await database.read(get_task, TENANT, task.task_id) == task
    assert (task.seq, task.status) == (1, Status())
    assert await history(database, task.task_id) == [(1, "QUEUED")]


async def test_what_was_answered_survives_the_end_of_the_database(member: Member, tmp_path: Path) -> None:
    async with member.open(tmp_path) as first:
        task = await create(first, request_id="r")
    async with member.open(tmp_path) as second:
        assert await second.read(get_task, TENANT, task.task_id) == task
        assert await create(second, request_id="r") == task


async def test_twins_get_one_task(database: Database) -> None:
    """P3: 64 concurrent creates with one request_id, again and again, make one task each time."""
    for number in range(ROUNDS):
        tasks = await asyncio.gather(*(create(database, request_id=f"r{number}") for _ in range(TWINS)))
        assert len({task.task_id for task in tasks}) == 1
    counts = await database.read(_rows)
    assert (counts["task"], counts["task_event"], counts["idempotency"]) == (ROUNDS, ROUNDS, ROUNDS)


async def test_of_rivals_with_one_request_id_one_body_wins(database: Database) -> None:
    """The bodies that came second are refused, and none of them leaves a task."""
    answers = await asyncio.gather(
        *(create(database, request_id="r", body=f"body {number % 4}") for number in range(TWINS)),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert {getattr(error, "reason", error) for error in refused} == {Reason.REQUEST_ID_REUSED}
    assert len(refused) == TWINS * 3 // 4
    assert (await database.read(_rows))["task"] == 1


async def test_a_repeat_is_answered_as_the_task_is_now(database: Database) -> None:
    first = await create(database, request_id="r")
    claimed = await create(database, request_id="r", timeout=first.deadline - NOW)
    assert claimed == first


@pytest.mark.parametrize(
    "other", [{"tenant": "other"}, {"method": "MODEL_EDIT"}, {"request_id": "R"}, {"request_id": "r "}]
)
async def test_the_scope_of_a_request_id_is_tenant_and_method(
    database: Database, other: dict[str, str]
) -> None:
    """F75: the same key of another tenant or method, and a key that only looks alike, is another key."""
    mine = new_task(request_id="r")
    request = replace(mine.request, request_id=other.get("request_id", "r"))
    columns: dict[str, Any] = {name: value for name, value in other.items() if name != "request_id"}
    theirs = replace(new_task(body="other body"), request=request, **columns)
    await database.write(create_task, mine)
    await database.write(create_task, theirs)
    assert (await database.read(_rows))["task"] == 2


async def test_without_a_request_id_every_create_is_new(database: Database) -> None:
    tasks = [await create(database) for _ in range(3)]
    assert len({task.task_id for task in tasks}) == 3
    assert await database.read(find_by_request_id, TENANT, "EDIT_IMAGE", "", "body") is None


async def test_a_request_id_is_found_only_with_its_body(database: Database) -> None:
    task = await create(database, request_id="r")
    assert await database.read(find_by_request_id, TENANT, "EDIT_IMAGE", "r", "body") == task
    assert await database.read(find_by_request_id, "other", "EDIT_IMAGE", "r", "body") is None
    with pytest.raises(Refusal) as refused:
        await database.read(find_by_request_id, TENANT, "EDIT_IMAGE", "r", "another")
    assert refused.value.reason is Reason.REQUEST_ID_REUSED


async def test_a_refused_create_leaves_nothing(database: Database) -> None:
    await create(database, request_id="r")
    before = await database.read(_rows)
    with pytest.raises(Refusal):
        await database.write(create_task, new_task(request_id="r", body="another"), [image(1)])
    assert await database.read(_rows) == before


async def test_images_belong_to_their_tenant(database: Database) -> None:
    """P22: the right to an image is a tenant's, not the world's; the same bytes may be many tenants'."""
    mine = replace(image(1), upright=False)
    await database.write(create_task, new_task(), [mine])
    assert await database.read(get_image, TENANT, mine.image_id) == mine
    assert await database.read(get_image, "other", mine.image_id) is None
    await database.write(add_images, "other", [mine, mine], NOW)
    await database.write(add_images, "other", [mine], NOW)
    assert await database.read(get_image, "other", mine.image_id) == mine
    assert (await database.read(_rows))["image"] == 2


async def test_a_task_of_another_tenant_looks_missing(database: Database) -> None:
    task = await create(database)
    assert await database.read(get_task, "other", task.task_id) is None


TEXTS = {
    "chinese": "将肤色调亮一些，加一点暖色",
    "right to left": "\u202eעברית العربية\u202c",
    "joiners": "👩\u200d👩\u200d👧\u200d👦 \u200b\ufeff",
    "combining storm": "e" + "\u0301" * 300,
    "not normalised": "\u212b \u00c5 A\u030a ﬁ",
    "beyond the plane": "𝔘𐍈\U0010ffff\ue000",
    "looks like SQL": "'; DROP TABLE task; --\\\" %s :x {0} {{7*7}}",
    "lines": "a\tb\nc",
    "looks like JSON": '{"state": "FAILED"}\\u0000',
    "spaces": "  \u00a0\u3000 ",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_text_comes_back_byte_for_byte(database: Database, text: str) -> None:
    """P27, F77: nothing is normalised, trimmed or taken for a command."""
    task = await create(database, prompt=text, user_id=text, labels={"k" + text: text}, request_id="r")
    found = await database.read(get_task, TENANT, task.task_id)
    assert found is not None
    assert found.request.prompt.encode() == text.encode()
    assert found.request.labels == {"k" + text: text}
    assert found == task


FULL_REQUEST = Request(
    kind=Kind.MODEL_EDIT,
    request_id="r",
    user_id="u",
    model="p/m",
    provider="p",
    prompt="x",
    images=(
        Input(image=replace(image(1), transparency=Transparency.OPAQUE, upright=False)),
        Input(url="https://h/x?y#z"),
    ),
    mask=Input(image=image(2)),
    reference_images=(Input(image=image(3)),),
    n=7,
    size="4:3",
    on_unknown=OnUnknown.RESUBMIT,
    labels={"": "", "b": "2", "a": "1"},
    base_model_task_id="task_x",
    base_vendor_task_id="v",
    angle="side",
    body_profile=BodyProfile(
        gender="女", height_cm=170.5, weight_kg=0.1, age=30, skin_color="s", body_type="t"
    ),
)


@pytest.mark.parametrize("field", ["images", "mask", "reference_images"])
async def test_an_input_that_was_deleted_meanwhile_is_missed(database: Database, field: str) -> None:
    """What was found when the request was checked is looked for again where nothing can come between."""
    given = Input(image=image("gone"))
    new = new_task()
    inputs: dict[str, Any] = {"images": (), field: given if field == "mask" else (given,)}
    new = replace(new, request=replace(new.request, **inputs))
    with pytest.raises(Refusal) as refused:
        await database.write(create_task, new)
    assert refused.value.reason is Reason.IMAGE_NOT_FOUND
    assert await database.read(get_task, TENANT, new.task_id) is None


@pytest.mark.parametrize(
    "options",
    [
        None,
        OpenaiOptions(),
        OpenaiOptions(quality="high", output_compression=0, partial_images=3, moderation="low"),
        SeedreamOptions(),
        SeedreamOptions(quality="HIGH"),
        IdeogramOptions(),
        IdeogramOptions(rendering_speed="TURBO", style="FICTION", expand_prompt=False, seed=0),
    ],
    ids=repr,
)
async def test_a_request_comes_back_whole(database: Database, options: Options | None) -> None:
    """Every field, and options of the family that they were of, even where all are at their defaults."""
    new = new_task()
    new = replace(new, request=replace(FULL_REQUEST, options=options))
    inputs = [given.image for given in new.request.inputs() if given.image]
    await database.write(create_task, new, inputs)
    found = await database.read(get_task, TENANT, new.task_id)
    assert found is not None
    assert found.request == new.request
    assert found.status.state is State.QUEUED
