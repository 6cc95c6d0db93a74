"""Creating a task: every check before anyone pays, and one task per request_id (P3, F75 to F79)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select

from imageedit_server.core.errors import Code, Reason, Refusal, invalid
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, SeedreamOptions
from imageedit_server.core.request import Content, Draft, ImageRef, Kind, Request, TaskOutput, Url
from imageedit_server.core.task import State, Task
from imageedit_server.providers.base import Accepted, Adapter, InProgress, Job, Report
from imageedit_server.store.tables import EVENT, IDEMPOTENCY, IMAGE, TASK
from tests.engine.house import INPUT, RESULT_ID, TENANT, House, Vendor, picture

UNKNOWN_TASK = f"task_{'0' * 32}"
UNKNOWN_IMAGE = f"sha256:{'0' * 64}"
OTHER = "other"


def draft(**fields: Any) -> Draft:
    """A draft that is accepted, with ``fields`` of its own."""
    usual: dict[str, Any] = {
        "kind": Kind.EDIT_IMAGE,
        "prompt": "brighter",
        "images": (Content(INPUT),),
        "model": "plain/m",
    }
    return Draft(**usual | fields)


def default_model(**fields: Any) -> Draft:
    return draft(
        **{"kind": Kind.DEFAULT_MODEL, "user_id": "u", "angle": "front", "model": "", "prompt": ""} | fields
    )


def model_edit(base: str, **fields: Any) -> Draft:
    usual: dict[str, Any] = {
        "kind": Kind.MODEL_EDIT,
        "user_id": "u",
        "base_model_task_id": base,
        "images": (),
    }
    return draft(**usual | fields)


async def create(house: House, asked: Draft, tenant: str = TENANT) -> Task:
    return await house.creating.create(tenant, asked)


async def refusal(house: House, asked: Draft, tenant: str = TENANT) -> Refusal:
    """Return why a draft is refused, after looking that nothing was stored."""
    before = await house.database.read(_rows)
    with pytest.raises(Refusal) as refused:
        await house.creating.create(tenant, asked)
    assert await house.database.read(_rows) == before
    assert house.vendor.paid == []
    return refused.value


def _rows(connection: Connection) -> list[int]:
    return [
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in (TASK, EVENT, IMAGE, IDEMPOTENCY)
    ]


def files(house: House) -> set[Path]:
    return {path for path in house.images.rglob("*") if path.is_file()}


@pytest.fixture
async def idle(tmp_path: Path, vendor: Vendor) -> Any:
    """A house whose engine does not run, so that tasks stay as they were created."""
    house = House(tmp_path, vendor)
    await house.start(serve=False)
    house.serving = asyncio.create_task(asyncio.Event().wait())  # type: ignore[arg-type]
    yield house
    await house.stop()


# Accepted


async def test_a_task_is_answered_as_it_is_stored(idle: House) -> None:
    asked = draft(
        user_id="u", labels={"k": "v"}, request_id="r", timeout=timedelta(minutes=2), size="4:3", n=2
    )
    task = await create(idle, asked)
    assert await idle.get(task.task_id) == task
    assert (task.status.state, task.seq) == (State.QUEUED, 1)
    assert task.deadline - task.create_time == timedelta(minutes=2)
    request = task.request
    assert (request.model, request.provider, request.prompt) == ("plain/m", "plain", "brighter")
    assert (request.user_id, request.labels, request.request_id) == ("u", {"k": "v"}, "r")
    assert (request.n, request.size, task.status.size) == (2, "4:3", "4:3")
    assert request.images[0].image is not None
    assert (request.images[0].image.width, request.images[0].image.height) == (4, 3)


async def test_without_a_model_it_is_the_servers_default(idle: House) -> None:
    assert (await create(idle, draft(model=""))).request.model == "plain/m"


async def test_an_inline_picture_is_the_tenants(idle: House) -> None:
    task = await create(idle, draft())
    image = task.request.images[0].image
    assert image is not None
    assert await idle.pictures.find(TENANT, image.image_id) == image
    with pytest.raises(Refusal):
        await idle.pictures.find(OTHER, image.image_id)


async def test_pictures_keep_their_places(idle: House) -> None:
    """However they are named, each comes to where it was put."""
    small, big = picture("blue"), picture("green")
    task = await create(
        idle,
        draft(
            images=(Content(small), Content(big)),
            reference_images=(Url("https://h.test/r"),),
            has_mask=True,
            mask=Url("https://h.test/m"),
        ),
    )
    request = task.request
    assert [given.image.size_bytes if given.image else 0 for given in request.images] == [
        len(small),
        len(big),
    ]
    assert [given.url for given in request.reference_images] == ["https://h.test/r"]
    assert request.mask is not None
    assert request.mask.url == "https://h.test/m"


async def test_every_kind_of_source(house: House) -> None:
    """Content, an image of ours, a task's output and a URL all end as the same picture."""
    done = await house.ended((await create(house, draft())).task_id)
    house.vendor.files["https://h.test/a"] = INPUT
    sources = (
        Content(INPUT),
        ImageRef(RESULT_ID),
        TaskOutput(done.task_id, 0),
        Url("https://h.test/a"),
    )
    for source in sources:
        task = await create(house, draft(images=(source,)))
        assert (await house.ended(task.task_id)).status.images


async def test_validating_only_stores_nothing(idle: House) -> None:
    """All checks, no task, no key used, no file: the answer has neither id nor state of a stored task."""
    before, disk = await idle.database.read(_rows), files(idle)
    asked = draft(validate_only=True, request_id="r", images=(Content(picture("navy", (5, 5))),))
    task = await create(idle, asked)
    assert (task.task_id, task.seq) == ("", 0)
    assert task.request.model == "plain/m"
    assert await idle.database.read(_rows) == before
    assert files(idle) == disk
    assert (await create(idle, replace(asked, validate_only=False))).task_id
    assert (await create(idle, draft(request_id="r", validate_only=True))).task_id == ""
    assert (await refusal(idle, draft(validate_only=True, model="x"))).reason is Reason.UNKNOWN_MODEL
    mistyped = await refusal(idle, draft(validate_only=True, model="plain/mm"))
    assert "(did you mean plain/m?)" in mistyped.message


async def test_validating_asks_the_provider_what_it_knows_already(
    idle: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its warnings are the answer's, its refusal the call's; a task that is created is not judged so."""

    def foresee(_adapter: Any, request: Request, _model: Any) -> tuple[str, ...]:
        if request.prompt == "gibberish":
            raise invalid("prompt", "says nothing", Reason.INSTRUCTION_NOT_UNDERSTOOD)
        return ("A clause would be left out.",)

    monkeypatch.setattr(Adapter, "foresee", foresee)
    validated = await create(idle, draft(validate_only=True))
    assert validated.status.warnings[-1] == "A clause would be left out."
    refused = await refusal(idle, draft(validate_only=True, prompt="gibberish"))
    assert (refused.reason, refused.violations[0].field) == (Reason.INSTRUCTION_NOT_UNDERSTOOD, "prompt")
    assert (await create(idle, draft(prompt="gibberish"))).task_id


# Idempotency


async def test_a_repeat_is_answered_with_its_task(house: House) -> None:
    asked = draft(request_id="r")
    first = await create(house, asked)
    done = await house.ended(first.task_id)
    assert await create(house, asked) == done
    assert await house.database.read(_rows) == await house.database.read(_rows)


async def test_twins_through_the_whole_creation_make_one_task(house: House) -> None:
    answers = await asyncio.gather(*(create(house, draft(request_id="r")) for _ in range(64)))
    assert len({task.task_id for task in answers}) == 1
    await house.ended(answers[0].task_id)
    assert len(house.vendor.paid) == 1


SAME: dict[str, Callable[[Draft], Draft]] = {
    "labels in another order": lambda asked: replace(asked, labels=dict(reversed(asked.labels.items()))),
    "size auto for empty": lambda asked: replace(asked, size="auto"),
}
OTHERS: dict[str, Callable[[Draft], Draft]] = {
    "prompt": lambda asked: replace(asked, prompt="darker"),
    "prompt with a space": lambda asked: replace(asked, prompt="brighter "),
    "user": lambda asked: replace(asked, user_id="v"),
    "n": lambda asked: replace(asked, n=2),
    "timeout": lambda asked: replace(asked, timeout=timedelta(minutes=3)),
    "labels": lambda asked: replace(asked, labels={"a": "1"}),
    "picture": lambda asked: replace(asked, images=(Content(picture("pink", (6, 6))),)),
    "another picture": lambda asked: replace(asked, images=(*asked.images, *asked.images)),
    "size": lambda asked: replace(asked, size="4:3"),
}


@pytest.mark.parametrize("variant", SAME.values(), ids=SAME)
async def test_what_means_the_same_is_the_same(idle: House, variant: Callable[[Draft], Draft]) -> None:
    asked = draft(request_id="r", labels={"a": "1", "b": "2"})
    assert await create(idle, variant(asked)) == await create(idle, asked)


@pytest.mark.parametrize("variant", OTHERS.values(), ids=OTHERS)
async def test_another_request_under_the_same_id_is_refused(
    idle: House, variant: Callable[[Draft], Draft]
) -> None:
    asked = draft(request_id="r", labels={"a": "1", "b": "2"})
    await create(idle, asked)
    disk = files(idle)
    refused = await refusal(idle, variant(asked))
    assert files(idle) == disk
    assert refused.reason is Reason.REQUEST_ID_REUSED
    assert refused.reason.code is Code.FAILED_PRECONDITION


async def test_the_scope_of_a_request_id(idle: House) -> None:
    """Tenant and method: others' keys are other keys, and tell nothing (P22)."""
    first = await create(idle, draft(request_id="r"))
    assert (await create(idle, draft(request_id="r"), OTHER)).task_id != first.task_id
    assert (await create(idle, default_model(request_id="r"))).task_id != first.task_id


async def test_a_repeat_is_answered_even_if_it_would_be_refused_now(
    tmp_path: Path, vendor: Vendor, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model left, the picture is gone, the base is no base: what was accepted once stays accepted."""
    base = (await house.ended((await create(house, default_model())).task_id)).task_id
    kept = {
        "model": draft(request_id="1"),
        "source": draft(request_id="2", images=(TaskOutput(base, 0),)),
        "base": model_edit(base, request_id="3"),
    }
    first = {name: await create(house, asked) for name, asked in kept.items()}
    monkeypatch.setattr(house.catalog, "find", lambda _model: None)
    for name, asked in kept.items():
        again = await create(house, asked)
        assert again.task_id == first[name].task_id
        refused = await refusal_with_payments(house, replace(asked, request_id="new"))
        assert refused.reason is Reason.UNKNOWN_MODEL
        other = await refusal_with_payments(house, replace(asked, prompt="another"))
        assert other.reason is Reason.REQUEST_ID_REUSED


async def refusal_with_payments(house: House, asked: Draft) -> Refusal:
    with pytest.raises(Refusal) as refused:
        await create(house, asked)
    return refused.value


async def test_validating_only_does_not_answer_with_a_task(idle: House) -> None:
    asked = draft(request_id="r")
    await create(idle, asked)
    assert (await create(idle, replace(asked, validate_only=True))).task_id == ""


async def test_a_busy_store_is_not_mistaken_for_a_repeat(
    idle: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle.database.full = True
    with pytest.raises(Refusal) as refused:
        await create(idle, draft(request_id="r"))
    assert refused.value.reason is Reason.STORAGE_FULL
    idle.database.full = False
    assert (await create(idle, draft(request_id="r"))).seq == 1


async def test_a_caller_that_goes_away_leaves_all_or_nothing(idle: House) -> None:
    """P30, F69: cancelled at any await; a repeat then finds the task or makes it."""
    for moment in range(0, 60, 3):
        asked = draft(request_id=f"r{moment}")
        creating = asyncio.create_task(create(idle, asked))
        for _ in range(moment):
            await asyncio.sleep(0)
        creating.cancel()
        await asyncio.gather(creating, return_exceptions=True)
        await create(idle, asked)
    tasks, events, _, keys = await idle.database.read(_rows)
    assert tasks == events == keys == 20


# Refused


REFUSED: dict[str, tuple[Draft, Reason, str]] = {
    "unknown model": (draft(model="none"), Reason.UNKNOWN_MODEL, "model"),
    "a model of another kind": (default_model(model="plain/m"), Reason.INVALID_FIELD, "model"),
    "openai options": (draft(options=OpenaiOptions()), Reason.OPTION_NOT_SUPPORTED, "openai"),
    "seedream options": (draft(options=SeedreamOptions()), Reason.OPTION_NOT_SUPPORTED, "seedream"),
    "ideogram options": (draft(options=IdeogramOptions()), Reason.OPTION_NOT_SUPPORTED, "ideogram"),
    "prompt too long for the model": (draft(prompt="x" * 101), Reason.INVALID_FIELD, "prompt"),
    "too many pictures for the model": (draft(images=(Content(INPUT),) * 3), Reason.INVALID_FIELD, "images"),
    "too many references": (
        draft(reference_images=(Content(INPUT),) * 2),
        Reason.INVALID_FIELD,
        "reference_images",
    ),
    "n": (draft(n=5), Reason.INVALID_FIELD, "n"),
    "size": (draft(size="huge"), Reason.INVALID_FIELD, "size"),
    "a full-width size": (draft(size="４：３"), Reason.INVALID_FIELD, "size"),
    "no picture": (draft(images=(Content(b"hello"),)), Reason.IMAGE_UNDECODABLE, "images[0].content"),
    "cut short": (draft(images=(Content(INPUT[:-9]),)), Reason.IMAGE_UNDECODABLE, "images[0].content"),
    "too many pixels": (
        draft(images=(Content(picture(size=(200, 200))),)),
        Reason.IMAGE_TOO_LARGE,
        "images[0].content",
    ),
    "the second of two": (
        draft(images=(Content(INPUT), Content(b"x"))),
        Reason.IMAGE_UNDECODABLE,
        "images[1].content",
    ),
    "a mask of another size": (
        draft(has_mask=True, mask=Content(picture(size=(5, 5)))),
        Reason.INVALID_FIELD,
        "mask",
    ),
    "a mask that is no picture": (
        draft(has_mask=True, mask=Content(b"x")),
        Reason.IMAGE_UNDECODABLE,
        "mask.content",
    ),
    **{
        name: (draft(images=(ImageRef(image_id),)), Reason.INVALID_FIELD, "images[0].image_id")
        for name, image_id in {
            "an image id cut short": UNKNOWN_IMAGE[:19],
            "an image id in capitals": UNKNOWN_IMAGE.upper(),
            "a path for an image id": "../../etc/passwd",
            "NUL in an image id": "a\0b",
        }.items()
    },
    "a refused url": (draft(images=(Url("http://h.test/a"),)), Reason.URL_REFUSED, "images[0].url"),
    "size without a model": (default_model(size="4:3"), Reason.INVALID_FIELD, "size"),
    "no user": (default_model(user_id=""), Reason.INVALID_FIELD, "user_id"),
    "no base": (model_edit(""), Reason.INVALID_FIELD, "base_model_task_id"),
}


@pytest.mark.parametrize(("asked", "reason", "field"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_names_its_field_and_stores_nothing(
    idle: House, asked: Draft, reason: Reason, field: str
) -> None:
    disk = files(idle)
    refused = await refusal(idle, asked)
    assert refused.reason is reason
    assert [violation.field for violation in refused.violations][:1] == [field]
    assert field in refused.message
    assert files(idle) == disk


async def test_all_that_is_wrong_is_said_at_once(idle: House) -> None:
    refused = await refusal(idle, draft(prompt="", n=-1, timeout=timedelta(0), images=()))
    assert [violation.field for violation in refused.violations] == ["prompt", "images", "n", "timeout"]


MISSING = {
    "no image of ours": (ImageRef(UNKNOWN_IMAGE), Reason.IMAGE_NOT_FOUND),
    "no task": (TaskOutput(UNKNOWN_TASK, 0), Reason.TASK_NOT_FOUND),
    "a malformed task id": (TaskOutput("task_x", 0), Reason.TASK_NOT_FOUND),
    "a task id with a newline": (TaskOutput(f"{UNKNOWN_TASK}\n", 0), Reason.TASK_NOT_FOUND),
}


@pytest.mark.parametrize(("source", "reason"), MISSING.values(), ids=MISSING)
async def test_what_does_not_exist_is_not_found(idle: House, source: Any, reason: Reason) -> None:
    refused = await refusal(idle, draft(images=(source,)))
    assert refused.reason is reason
    assert refused.reason.code is Code.NOT_FOUND


async def test_an_output_of_a_task_at_work_is_not_ready(house: House, vendor: Vendor) -> None:
    async def never(vendor_task_id: str, report: Report) -> InProgress:
        return InProgress()

    vendor.poll = never
    task = await create(house, draft())
    refused = await refusal_with_payments(house, draft(images=(TaskOutput(task.task_id, 0),)))
    assert (refused.reason, refused.reason.code) == (Reason.SOURCE_NOT_READY, Code.FAILED_PRECONDITION)
    await house.tasks.cancel(TENANT, task.task_id)
    refused = await refusal_with_payments(house, draft(images=(TaskOutput(task.task_id, 0),)))
    assert refused.reason is Reason.IMAGE_NOT_FOUND


@pytest.mark.parametrize("index", [1, 2**31 - 1])
async def test_an_output_beyond_the_last_is_not_found(house: House, index: int) -> None:
    done = await house.ended((await create(house, draft())).task_id)
    refused = await refusal_with_payments(house, draft(images=(TaskOutput(done.task_id, index),)))
    assert refused.reason is Reason.IMAGE_NOT_FOUND


# Model edits


async def test_any_succeeded_task_is_a_base(house: House) -> None:
    """The base's picture becomes the image, the instructions the prompt."""
    for base in (default_model(), draft()):
        done = await house.ended((await create(house, base)).task_id)
        task = await create(house, model_edit(done.task_id, prompt="将发型改为短发"))
        assert task.request.images[0].image == done.status.images[0]
        assert (task.request.prompt, task.request.base_model_task_id) == ("将发型改为短发", done.task_id)
        assert (await house.ended(task.task_id)).status.images


async def test_a_base_must_be_finished_and_have_a_picture(house: House, vendor: Vendor) -> None:
    async def refuse(job: Job, report: Report) -> Accepted:
        raise RuntimeError

    vendor.submit = refuse
    failed = await house.ended((await create(house, draft())).task_id)
    cancelled = await create(house, draft())
    await house.tasks.cancel(TENANT, cancelled.task_id)
    for base in (failed.task_id, cancelled.task_id):
        refused = await refusal_with_payments(house, model_edit(base))
        assert refused.reason is Reason.BASE_MODEL_NOT_READY
        assert refused.reason.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize("base", [UNKNOWN_TASK, "task_x", "x" * 10_000, "task_\0"])
async def test_a_base_that_does_not_exist(idle: House, base: str) -> None:
    assert (await refusal(idle, model_edit(base))).reason is Reason.TASK_NOT_FOUND


async def test_a_vendor_that_edits_only_its_own_gets_its_own_id(house: House) -> None:
    own = await house.ended((await create(house, default_model(model="jealous/m"))).task_id)
    task = await create(house, model_edit(own.task_id, model="jealous/m"))
    assert task.request.base_vendor_task_id == own.status.attempts[0].vendor_task_id
    bases = [
        draft(model="plain/m"),  # made elsewhere
        draft(model="jealous/m"),  # made there, but no default model
        default_model(),  # made by nobody
    ]
    for asked in bases:
        base = await house.ended((await create(house, asked)).task_id)
        refused = await refusal_with_payments(house, model_edit(base.task_id, model="jealous/m"))
        assert refused.reason is Reason.BASE_MODEL_ELSEWHERE
        assert refused.reason.code is Code.FAILED_PRECONDITION
        assert (await create(house, model_edit(base.task_id))).request.base_vendor_task_id == ""


# Tenants


async def test_what_is_anothers_looks_missing(house: House) -> None:
    """P22, F86: same code, same message, byte for byte, for every way to name something."""
    done = await house.ended((await create(house, draft())).task_id)
    image_id = done.status.images[0].image_id
    pairs = [
        (draft(images=(ImageRef(image_id),)), draft(images=(ImageRef(UNKNOWN_IMAGE),))),
        (draft(images=(TaskOutput(done.task_id, 0),)), draft(images=(TaskOutput(UNKNOWN_TASK, 0),))),
        (model_edit(done.task_id), model_edit(UNKNOWN_TASK)),
    ]
    for theirs, missing in pairs:
        refusals = [await _refused(house, asked) for asked in (theirs, missing)]
        assert refusals[0] == refusals[1]


async def _refused(house: House, asked: Draft) -> tuple[Reason, str, object, object]:
    with pytest.raises(Refusal) as refused:
        await create(house, asked, OTHER)
    error = refused.value
    return error.reason, error.message, error.violations, error.retry_after_seconds
