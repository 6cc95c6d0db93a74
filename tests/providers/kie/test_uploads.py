"""Inputs become URLs: the vendor's file-stream upload, and what is done to pictures before (VENDORS §2.7)."""

import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.client import ApiClient
from imageedit_server.pictures.ready import EditColor, black_and_white
from imageedit_server.providers.base import NotProcessed, PrepareError
from imageedit_server.providers.kie import KieAdapter, uploads
from imageedit_server.runtime.workers import WorkerDied
from tests.providers.adapters import ThreadWorkers, accepted_by, holding
from tests.providers.kie.conftest import MakeAdapter
from tests.providers.kie.jobs import Jobs, encoded, mask, picture
from tests.vendors.kie.behaviours import (
    BROKEN_WIRES,
    EDGE_BLOCK,
    UNREADABLE,
    Behaviour,
    busy,
    data,
    page,
    rewrites,
    says,
)
from tests.vendors.kie.server import KieVendor
from tests.vendors.serving import read_form

ORIENTATION = 0x0112
NAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|webp)")


@pytest.mark.parametrize(
    ("name", "media_type", "extension"),
    [("PNG", "image/png", "png"), ("JPEG", "image/jpeg", "jpg"), ("WEBP", "image/webp", "webp")],
)
async def test_an_upload_byte_by_byte(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, name: str, media_type: str, extension: str
) -> None:
    content = picture(name)
    await adapter.prepare(jobs.seedream(content))
    [request] = vendor.calls("upload")
    file_name = read_form(request)[0].file_name
    assert file_name is not None
    assert NAME.fullmatch(file_name)
    assert file_name.endswith(extension)
    boundary = request.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    assert request.body == (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{file_name}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n".encode()
        + content
        + f"\r\n--{boundary}\r\n"
        f'Content-Disposition: form-data; name="uploadPath"\r\n\r\nimageedit\r\n'
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="fileName"\r\n\r\n{file_name}\r\n'
        f"--{boundary}--\r\n".encode()
    )
    assert request.headers["authorization"] == f"Bearer {vendor.api_key}"


async def test_no_name_is_ever_used_twice(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    """The vendor overwrites a name that comes twice, and serves the old content for a while."""
    job = jobs.seedream(picture(), picture())
    await adapter.prepare(job)
    await adapter.prepare(job)
    names = {read_form(request)[0].file_name for request in vendor.calls("upload")}
    assert len(names) == len(vendor.files) == 4


async def test_preparing_costs_nothing(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    await adapter.prepare(jobs.character())
    assert vendor.ledger == []
    assert vendor.calls("createTask") == []


# Pictures on the way


@pytest.mark.parametrize(
    ("edit_color", "edited", "kept"), [("black", 0, 255), ("white", 255, 0)], ids=["black", "white"]
)
@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_a_mask_becomes_black_and_white(edit_color: EditColor, edited: int, kept: int, name: str) -> None:
    image = Image.open(io.BytesIO(black_and_white(mask((64, 48), name), edit_color)))
    assert (image.format, image.mode, image.size) == ("PNG", "L", (64, 48))
    assert (image.getpixel((0, 0)), image.getpixel((63, 47))) == (edited, kept)
    assert image.getpixel((32, 20)) == (128 if edit_color == "black" else 127)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA", "P"])
def test_alpha_is_found_in_every_kind_of_mask(mode: str) -> None:
    if mode == "P":
        image = Image.new("P", (2, 1), 0)
        image.putpixel((1, 0), 1)
        content = encoded(image, "PNG", transparency=0)
    else:
        whole = Image.new("RGBA", (2, 1), (9, 9, 9, 255))
        whole.putpixel((0, 0), (9, 9, 9, 0))
        content = encoded(whole.convert("LA") if mode == "LA" else whole, "PNG")
    image = Image.open(io.BytesIO(black_and_white(content, "black")))
    assert [image.getpixel((x, 0)) for x in (0, 1)] == [0, 255]


def turned_picture(name: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return picture(name, (48, 64), exif=exif)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_a_turned_picture_is_sent_upright(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, name: str
) -> None:
    """The mask is as large as the picture is seen; the vendor compares it with the stored pixels."""
    job = jobs.character(turned_picture(name))
    prepared = await adapter.prepare(job)
    await accepted_by(adapter, prepared, None)  # type: ignore[arg-type]
    assert prepared.warnings == (
        "images[0] was turned upright for the provider, without its metadata.",
        "The mask was sent in black and white; black marks what is edited.",
    )
    sent = Image.open(io.BytesIO(vendor.files[vendor.ledger[0].body["input"]["image_url"]]))
    assert (sent.format, sent.size) == (name, (64, 48))
    assert sent.getexif().get(ORIENTATION, 1) == 1
    top, bottom = (sent.convert("RGB").getpixel((32, y)) for y in (4, 44))
    assert top[0] > 200, "what was left and red is at the top"  # type: ignore[index]
    assert bottom[2] > 200  # type: ignore[index]


async def test_an_upright_picture_is_sent_byte_by_byte(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    content = picture("JPEG", comment=b"kept")
    prepared = await adapter.prepare(jobs.seedream(content))
    assert prepared.warnings == ()
    assert list(vendor.files.values()) == [content]


async def test_a_mask_of_another_size_ends_the_task(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    """Known only now when the picture came from a URL."""
    job = replace(jobs.character(), mask=jobs.input(mask((32, 32))))
    with pytest.raises(PrepareError, match=r"32x32.*64x48") as raised:
        await adapter.prepare(job)
    assert raised.value.failure.reason is FailureReason.INVALID_FIELD
    assert vendor.requests == []


async def test_a_file_above_the_vendors_limit_ends_the_task(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 100)
    with pytest.raises(PrepareError, match=r"images\[0\] has \d+ bytes") as raised:
        await adapter.prepare(jobs.seedream())
    assert raised.value.failure.reason is FailureReason.IMAGE_TOO_LARGE
    assert vendor.requests == []


async def test_a_turned_picture_loses_quality_before_it_is_too_large(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have been too large before: what counts is what is sent."""
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    noise = Image.merge("RGB", [Image.effect_noise((160, 120), 60) for _ in "RGB"])
    content = encoded(noise, "JPEG", quality=90, exif=exif)
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", len(content) * 2 // 3)
    prepared = await adapter.prepare(jobs.seedream(content))
    [sent] = vendor.files.values()
    assert len(sent) <= len(content) * 2 // 3
    assert prepared.warnings == (
        "images[0] was turned upright for the provider, without its metadata.",
        "images[0] was sent as image/jpeg of lower quality: the provider takes no more bytes.",
    )


async def test_a_worker_that_dies_is_tried_again_later(
    adapter: KieAdapter, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise WorkerDied("was killed")

    monkeypatch.setattr(ThreadWorkers, "run", die)
    with pytest.raises(NotProcessed):
        await adapter.prepare(jobs.seedream(turned_picture()))


async def test_a_picture_that_cannot_be_read_ends_the_task(adapter: KieAdapter, jobs: Jobs) -> None:
    job = holding(jobs.seedream(turned_picture()), b"no picture")
    with pytest.raises(PrepareError) as raised:
        await adapter.prepare(job)
    assert raised.value.failure.reason is FailureReason.IMAGE_UNDECODABLE


# Answers to uploads

FINAL = [
    (says(400), FailureReason.PROVIDER_REJECTED),
    (says(413, status=413), FailureReason.PROVIDER_REJECTED),
    (says(422, "File type is not supported"), FailureReason.PROVIDER_REJECTED),
    (says(422, "the picture is nsfw"), FailureReason.CONTENT_REFUSED),
    (says(401), FailureReason.PROVIDER_CREDENTIALS),
    (says(401, status=401), FailureReason.PROVIDER_CREDENTIALS),
    (says(403, status=403), FailureReason.PROVIDER_CREDENTIALS),
    (says(402), FailureReason.PROVIDER_CREDITS),
    (says(505), FailureReason.PROVIDER_DISABLED),
    (page(404), FailureReason.PROVIDER_REJECTED),
]


@pytest.mark.parametrize(("behaviour", "reason"), FINAL, ids=lambda value: getattr(value, "name", value))
async def test_a_refused_upload_ends_the_task(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, behaviour: Behaviour, reason: FailureReason
) -> None:
    vendor.misbehave("upload", behaviour)
    with pytest.raises(PrepareError) as raised:
        await adapter.prepare(jobs.seedream())
    assert raised.value.failure.reason is reason


PASSING = [
    *UNREADABLE,
    says(500),
    says(999),
    page(500),
    page(502),
    EDGE_BLOCK,
    rewrites("success false", lambda body: body | {"success": False}),
    rewrites("code 201", lambda body: body | {"code": 201}),
    data("no URL", downloadUrl=None),
    data("URL of another kind", downloadUrl="ftp://127.0.0.1/x"),
    data("endless URL", downloadUrl="https://127.0.0.1/" + "x" * 5000),
]


@pytest.mark.parametrize("behaviour", PASSING, ids=lambda behaviour: behaviour.name)
async def test_any_other_trouble_is_tried_again_later(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    vendor.misbehave("upload", behaviour)
    with pytest.raises(NotProcessed) as raised:
        await adapter.prepare(jobs.seedream())
    assert raised.value.failure.reason is FailureReason.PROVIDER_UNAVAILABLE
    assert raised.value.retry_after_seconds == 10


@pytest.mark.parametrize(
    "behaviour",
    [
        rewrites("no success", lambda body: {"code": body["code"], "data": body["data"]}),
        rewrites("code as text", lambda body: body | {"code": "200"}),
        rewrites("fileUrl", lambda body: body | {"data": {"fileUrl": body["data"]["downloadUrl"]}}),
    ],
    ids=lambda behaviour: behaviour.name,
)
async def test_an_address_is_taken_in_every_shape(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    vendor.misbehave("upload", behaviour)
    prepared = await adapter.prepare(jobs.seedream())
    assert isinstance(prepared.payload, dict)
    [url] = prepared.payload["input"]["image_urls"]
    assert url.startswith("http")


@pytest.mark.parametrize("behaviour", BROKEN_WIRES, ids=lambda behaviour: behaviour.name)
@pytest.mark.usefixtures("waits_are_over")
async def test_a_broken_wire_is_tried_again_later(
    adapter: KieAdapter,
    vendor: KieVendor,
    jobs: Jobs,
    behaviour: Behaviour,
) -> None:
    vendor.misbehave("upload", behaviour)
    with pytest.raises(NotProcessed):
        await adapter.prepare(jobs.seedream())


async def test_a_limit_on_uploads_is_obeyed(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    vendor.misbehave("upload", busy("42"))
    with pytest.raises(NotProcessed) as raised:
        await adapter.prepare(jobs.seedream())
    assert raised.value.failure.reason is FailureReason.PROVIDER_RATE_LIMITED
    assert raised.value.retry_after_seconds == 42


async def test_one_bad_upload_of_many_is_the_one_that_is_told(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    vendor.misbehave("upload", says(402))
    with pytest.raises(PrepareError) as raised:
        await adapter.prepare(jobs.seedream(*[picture()] * 14))
    assert raised.value.failure.reason is FailureReason.PROVIDER_CREDITS


async def test_only_a_few_files_are_in_memory_at_once(
    make_adapter: MakeAdapter, vendor: KieVendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen pictures of 10 MB for each of 50 tasks would be 7 GB."""
    monkeypatch.setattr(uploads, "AT_ONCE", 3)
    adapter = make_adapter()
    at_once, most = 0, 0
    send = ApiClient.send

    async def counting(*args: Any, **options: Any) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await send(*args, **options)
        finally:
            at_once -= 1

    monkeypatch.setattr(ApiClient, "send", counting)
    await adapter.prepare(Jobs(adapter).seedream(*[picture()] * 14))
    assert most == 3
    assert len(vendor.files) == 14
