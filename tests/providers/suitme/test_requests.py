"""What goes over the wire, byte by byte (vendor page 0, VENDORS §1.2, §1.3)."""

import base64
import io
import json
import math
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.request import BodyProfile
from imageedit_server.providers.base import Context, Job, NotProcessed, PrepareError
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_server.runtime.workers import WorkerDied
from imageedit_server.sandbox.pool import WorkerPool
from tests.providers.adapters import Connect, Reports, StandingClock, ThreadWorkers, accepted_by, holding
from tests.providers.suitme.conftest import API_KEY, MakeAdapter
from tests.providers.suitme.jobs import Jobs, picture
from tests.vendors.suitme.server import SuitmeVendor

SIDEWAYS = 6


async def created(adapter: SuitmeAdapter, job: Job) -> str:
    """Carry a job to the vendor; return its id."""
    return (await accepted_by(adapter, await adapter.prepare(job), Reports())).vendor_task_id


async def base(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> str:
    """Make a default model that is finished."""
    task_id = await created(adapter, jobs.default_model())
    vendor.finish(task_id)
    return task_id


def decoded(picture_url: str) -> tuple[str, bytes]:
    head, _, text = picture_url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(text, validate=True)


async def test_a_default_model(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    content = picture("PNG")
    await created(adapter, jobs.default_model(content))
    [request] = vendor.calls("models/default")
    text = base64.b64encode(content).decode()
    assert (
        request.body
        == (
            f'{{"user_id":"user-123","picture_url":"data:image/png;base64,{text}",'
            f'"body_profile":{{}},"size":"4:3"}}'
        ).encode()
    )


async def test_a_default_model_with_every_member(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    profile = BodyProfile(
        gender="female", height_cm=168.5, weight_kg=54, age=29, skin_color="白皙", body_type="匀称"
    )
    await created(adapter, jobs.default_model(body_profile=profile, size="9:16"))
    body = json.loads(vendor.calls("models/default")[0].body)
    assert list(body) == ["user_id", "picture_url", "body_profile", "size"]
    assert (body["user_id"], body["size"]) == ("user-123", "9:16")
    assert body["body_profile"] == {
        "gender": "女",
        "height": 168.5,
        "weight": 54,
        "age": 29,
        "skin_color": "白皙",
        "body_type": "匀称",
    }


@pytest.mark.parametrize(
    ("profile", "sent"),
    [
        (None, {}),
        (BodyProfile(), {}),
        (BodyProfile(gender="male"), {"gender": "男"}),
        (BodyProfile(gender="female"), {"gender": "女"}),
        (BodyProfile(gender="男"), {"gender": "男"}),
        (BodyProfile(gender="女"), {"gender": "女"}),
        (BodyProfile(age=30), {"age": 30}),
        (BodyProfile(height_cm=300, weight_kg=0.5), {"height": 300, "weight": 0.5}),
    ],
)
async def test_only_the_members_that_were_given_are_sent(
    adapter: SuitmeAdapter,
    vendor: SuitmeVendor,
    jobs: Jobs,
    profile: BodyProfile | None,
    sent: dict[str, Any],
) -> None:
    """The object itself is required, though the page does not say so (VENDORS §1.3)."""
    await created(adapter, jobs.default_model(body_profile=profile))
    assert vendor.ledger[0].body["body_profile"] == sent


async def test_an_edit(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    task_id = await base(adapter, vendor, jobs)
    await created(adapter, jobs.edit(task_id))
    [request] = vendor.calls("models/edit")
    assert (
        request.body
        == (
            f'{{"user_id":"user-123","base_model_task_id":"{task_id}",'
            f'"edit_instructions":"将发型改为短发，肤色调亮一些","size":"4:3"}}'
        ).encode()
    )


async def gone() -> bytes:
    raise AssertionError("nobody has to read it")


async def test_an_edit_reads_no_picture(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    """The vendor has the base's picture; ours may even be gone."""
    job = jobs.edit(await base(adapter, vendor, jobs))
    await created(adapter, replace(job, images=(replace(job.images[0], read=gone),)))
    assert len(vendor.ledger) == 2


@pytest.mark.parametrize("path", ["models/default", "models/edit"])
async def test_the_head_of_the_paid_call(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, path: str
) -> None:
    await created(adapter, jobs.edit(await base(adapter, vendor, jobs)))
    [request] = vendor.calls(path)
    assert (request.method, request.path, request.query) == ("POST", f"/{path}", {})
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.headers["content-type"] == "application/json"


async def test_a_base_url_may_have_a_path(
    make_adapter: MakeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    await created(make_adapter(base_url=f"{vendor.url}/"), jobs.default_model())
    assert vendor.calls("models/default")[0].path == "/models/default"


@pytest.mark.parametrize(
    "prompt",
    ["把夜晚变成夏日黄昏 🌇", 'quotes " and \\ and\nlines\u2028', "e\u0301 \u202e rtl", "x" * 32_000],
)
async def test_instructions_arrive_as_they_were_written(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, prompt: str
) -> None:
    await created(adapter, jobs.edit(await base(adapter, vendor, jobs), prompt))
    assert vendor.ledger[-1].body["edit_instructions"] == prompt


async def test_every_size_is_taken(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    [model] = adapter.models
    task_id = await base(adapter, vendor, jobs)
    for size in model.sizes:
        await created(adapter, jobs.edit(task_id, size=size))
        await created(adapter, jobs.default_model(size=size))
    sent = [charge.body["size"] for charge in vendor.ledger[1:]]
    assert sent == [size for size in model.sizes for _ in range(2)]


# Pictures


@pytest.mark.parametrize(
    ("name", "media_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
async def test_an_upright_picture_keeps_its_bytes(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, name: str, media_type: str
) -> None:
    content = picture(name)
    prepared = await adapter.prepare(jobs.default_model(content))
    await accepted_by(adapter, prepared, Reports())
    assert decoded(vendor.ledger[0].body["picture_url"]) == (media_type, content)
    assert prepared.warnings == ()


def on_its_side(name: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    return picture(name, exif=exif)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_on_its_side_is_turned(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, name: str
) -> None:
    prepared = await adapter.prepare(jobs.default_model(on_its_side(name)))
    await accepted_by(adapter, prepared, Reports())
    _, content = decoded(vendor.ledger[0].body["picture_url"])
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.size) == (name, (48, 64))
        assert image.getexif().get(0x0112, 1) == 1
        upper, lower = (image.convert("RGB").getpixel((24, y)) for y in (4, 60))
    assert (_color(upper), _color(lower)) == ("red", "blue")
    assert prepared.warnings == ("image was turned upright for the provider, without its metadata.",)


def _color(pixel: Any) -> str:
    return min({"red": (255, 0, 0), "blue": (0, 0, 255)}.items(), key=lambda item: math.dist(item[1], pixel))[
        0
    ]


async def test_a_picture_that_stays_too_large_ends_the_task(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    """One that is turned is made smaller first, as far as its quality may fall."""
    with pytest.raises(PrepareError, match=r"image has \d+ bytes; the provider takes at most 100") as raised:
        await make_adapter(max_image_bytes=100).prepare(jobs.default_model(on_its_side()))
    assert raised.value.failure.reason is FailureReason.IMAGE_TOO_LARGE


async def test_a_large_picture(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    content = picture("PNG", (1200, 900), compress_level=0)
    await created(adapter, jobs.default_model(content))
    assert decoded(vendor.ledger[0].body["picture_url"])[1] == content


async def test_a_picture_that_cannot_be_read_ends_the_task(adapter: SuitmeAdapter, jobs: Jobs) -> None:
    job = holding(jobs.default_model(on_its_side()), b"no picture")
    with pytest.raises(PrepareError) as raised:
        await adapter.prepare(job)
    assert raised.value.failure.reason is FailureReason.IMAGE_UNDECODABLE


@pytest.mark.parametrize("error", [WorkerDied("was killed"), Refusal(Reason.DRAINING, "stops")], ids=repr)
async def test_a_worker_that_died_is_tried_again_later(
    adapter: SuitmeAdapter, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def die(*_: object) -> None:
        raise error

    monkeypatch.setattr(ThreadWorkers, "run", die)
    with pytest.raises(NotProcessed) as raised:
        await adapter.prepare(jobs.default_model(on_its_side()))
    assert raised.value.retry_after_seconds == 5


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    pool = WorkerPool(size=1)
    yield pool
    await pool.aclose()


async def test_pictures_are_turned_in_a_worker_process(
    vendor: SuitmeVendor, tmp_path: Path, connect: Connect, pool: WorkerPool
) -> None:
    settings = {"adapter": "suitme", "base_url": vendor.url, "api_key": API_KEY}
    context = Context(provider="suitme", clock=StandingClock(), workers=pool, connect=connect)
    adapter = SuitmeAdapter(SuitmeAdapter.Options.model_validate(settings), context)
    content = picture()
    await created(adapter, Jobs(adapter).default_model(content))
    assert decoded(vendor.ledger[0].body["picture_url"]) == ("image/jpeg", content)
    await created(adapter, Jobs(adapter).default_model(on_its_side()))
    media_type, turned = decoded(vendor.ledger[1].body["picture_url"])
    with Image.open(io.BytesIO(turned)) as image:
        assert (media_type, image.size) == ("image/jpeg", (48, 64))


# The angle


@pytest.mark.parametrize("angle", ["", "front", "side", "back"])
async def test_the_angle_is_never_sent(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, angle: str
) -> None:
    """DESIGN §2: recorded, never sent. What the vendor does not learn is said in a warning."""
    prepared = await adapter.prepare(jobs.default_model(angle=angle))
    await accepted_by(adapter, prepared, Reports())
    assert "angle" not in vendor.ledger[0].body
    said = f"angle {angle} was recorded and not sent: the provider does not take it."
    assert prepared.warnings == ((said,) if angle in ("side", "back") else ())


async def test_no_callback_url_is_sent(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    """The vendor has no callbacks (VENDORS §1.1)."""
    await created(adapter, replace(jobs.default_model(), callback_url="https://edits.example.com/callbacks"))
    assert b"callback" not in vendor.calls("models/default")[0].body.lower()
