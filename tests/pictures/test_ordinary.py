"""Forty ordinary photos and files, uploaded: what an edit returns and each vendor gets looks as they do.

As in a viewer that knows profiles, within 2 of 255.
"""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.providers.base import Finished, InputImage, SubmitError
from imageedit_server.providers.kie import KieAdapter
from imageedit_server.providers.local import LocalAdapter
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_testing.members import held
from tests.images.pictures import MIB
from tests.pictures.ordinary import Photo, photos, seen, unlike
from tests.providers.adapters import (
    Build,
    Reports,
    StandingClock,
    ThreadWorkers,
    accepted_by,
    connecting,
    finished_by,
)
from tests.providers.kie.jobs import Jobs as KieJobs
from tests.providers.openai.conftest import SETTINGS
from tests.providers.openai.jobs import Jobs, mask
from tests.providers.suitme.jobs import Jobs as SuitmeJobs
from tests.vendors.behaviours import page
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai import rules
from tests.vendors.openai.server import MODELS, OpenaiVendor, Personality
from tests.vendors.serving import read_form
from tests.vendors.suitme.server import SuitmeVendor

Given = Callable[[Photo], Awaitable[InputImage]]

MOST_UNLIKE = 2
WIDE, SQUARE = (96, 64), (64, 64)


@pytest.fixture
async def build() -> AsyncIterator[Build]:
    clock = StandingClock()
    async with connecting(clock) as connect:
        yield Build(connect, clock)


@pytest.fixture(scope="module")
def uploads() -> dict[Photo, InputImage]:
    return {}


@pytest.fixture
def library(tmp_path: Path) -> ImageLibrary:
    blobs = FileBlobStore(tmp_path)
    blobs.prepare()
    return ImageLibrary(blobs, ThreadWorkers(), max_bytes=20 * MIB, max_pixels=50_000_000)


@pytest.fixture
def given(library: ImageLibrary, uploads: dict[Photo, InputImage]) -> Given:
    """Uploads a photo, once, and returns it as an adapter gets it."""

    async def upload(photo: Photo) -> InputImage:
        if photo not in uploads:
            image = await library.add_bytes(photo.content, field="images[0]")
            uploads[photo] = InputImage(image=image, read=held(await library.content(image)))
        return uploads[photo]

    return upload


def told(photo: Photo, content: bytes, want: Image.Image | None = None) -> list[str]:
    """Return by how much ``content`` looks other than ``want``, or the photo; nothing if that is little."""
    if content == photo.content and photo.is_upright:
        return []
    difference = unlike(want or photo.seen(), seen(content))
    return [] if difference <= MOST_UNLIKE else [f"{photo.name}: {difference:.1f}"]


def test_there_are_forty() -> None:
    names = [photo.name for photo in photos(WIDE)]
    assert len(set(names)) == len(names) >= 40


async def test_what_an_edit_returns(build: Build, given: Given) -> None:
    adapter = build(LocalAdapter, "local", {})
    faults = []
    for photo in photos(WIDE):
        job = replace(Jobs().make(adapter, prompt="flip horizontally"), size="auto")
        job = replace(job, images=(await given(photo),))
        result = await adapter.submit(await adapter.prepare(job), Reports())
        assert isinstance(result, Finished)
        faults += told(photo, result.outputs[0].content, ImageOps.mirror(photo.seen()))
    assert not faults


async def test_what_an_edit_within_a_mask_returns(build: Build, given: Given) -> None:
    """The mask edits the left half; what is right of it stays."""
    adapter = build(LocalAdapter, "local", {})
    faults = []
    for photo in photos(SQUARE):
        job = replace(Jobs().make(adapter, prompt="make it brighter", mask=mask(size=SQUARE)), size="auto")
        job = replace(job, images=(await given(photo),))
        result = await adapter.submit(await adapter.prepare(job), Reports())
        assert isinstance(result, Finished)
        kept = (SQUARE[0] // 2, 0, *SQUARE)
        difference = unlike(photo.seen().crop(kept), seen(result.outputs[0].content).crop(kept))
        faults += [f"{photo.name}: {difference:.1f}"] if difference > MOST_UNLIKE else []
    assert not faults


@pytest.mark.parametrize("personality", [Personality.OPENAI, Personality.PAGE_3])
async def test_what_openai_and_its_relays_get(build: Build, given: Given, personality: Personality) -> None:
    """The vendor is spared the edits; each form is held against its rules all the same."""
    size = SQUARE if personality is Personality.PAGE_3 else WIDE
    faults = []
    async with OpenaiVendor(personality=personality) as vendor:
        vendor.misbehave(page(400), times=None)
        settings = {"base_url": vendor.url, "api_key": vendor.api_key, **SETTINGS[personality]}
        adapter = build(OpenaiAdapter, "openai", settings)
        for photo in photos(size):
            job = Jobs().make(adapter, mask=mask(size=SQUARE) if size == SQUARE else None)
            job = replace(job, images=(await given(photo),))
            with suppress(SubmitError):
                await finished_by(adapter, await adapter.prepare(job), Reports())
            parts = read_form(vendor.requests[-1])
            rules.check(parts, MODELS[personality][job.model.vendor_name])
            faults += told(photo, next(part for part in parts if part.name == "image").content)
    assert not faults


async def test_what_kie_gets(build: Build, given: Given) -> None:
    faults = []
    async with KieVendor() as vendor:
        urls = {"base_url": vendor.api_url, "upload_url": vendor.upload_url}
        adapter = build(KieAdapter, "kie", {**urls, "api_key": vendor.api_key})
        for photo in photos(WIDE):
            vendor.files.clear()
            await adapter.prepare(replace(KieJobs(adapter).seedream(), images=(await given(photo),)))
            [content] = vendor.files.values()
            faults += told(photo, content)
    assert not faults


async def test_what_suitme_gets(build: Build, given: Given) -> None:
    faults = []
    async with SuitmeVendor(api_key="key") as vendor:
        adapter = build(SuitmeAdapter, "suitme", {"base_url": vendor.url, "api_key": "key"})
        for photo in photos(WIDE):
            job = replace(SuitmeJobs(adapter).default_model(), images=(await given(photo),))
            await accepted_by(adapter, await adapter.prepare(job), Reports())
            _, _, text = vendor.ledger[-1].body["picture_url"].partition(",")
            faults += told(photo, base64.b64decode(text))
    assert not faults
