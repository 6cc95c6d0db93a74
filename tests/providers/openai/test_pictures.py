"""Pictures made ready: nothing is touched that need not be, and nothing is lost that matters."""

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.providers.base import NotProcessed, PrepareError
from imageedit_server.providers.openai.calls import Form, prepare_call
from imageedit_server.providers.openai.rules import rules_of
from imageedit_server.runtime import workers
from imageedit_server.runtime.workers import WorkerDied
from tests.providers.adapters import holding
from tests.providers.openai.conftest import SETTINGS, MakeAdapter
from tests.providers.openai.jobs import Jobs, encoded, mask, picture
from tests.vendors.openai.server import Personality

SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 3
TURNED = picture("PNG", exif=SIDEWAYS)


# Pictures that need no work


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_that_is_taken_as_it_is_needs_no_worker(
    make_adapter: MakeAdapter, jobs: Jobs, name: str
) -> None:
    content = picture(name)
    no_workers = Workers(AssertionError("a worker was asked"))
    rules = rules_of("gpt-image", "gpt-image-2")
    prepared = await prepare_call(jobs.make(make_adapter(), content), rules, no_workers, "")
    assert isinstance(prepared.payload, Form)
    sent = prepared.payload.parts[-1]
    assert (sent.content, sent.media_type) == (content, f"image/{name.lower()}")


# What may go wrong


async def test_a_conversion_that_grows_too_large_is_refused(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    adapter = make_adapter(**SETTINGS[Personality.PAGE_3])
    job = jobs.make(adapter, picture("JPEG", (64, 64)), mask=mask(size=(64, 64)))
    small = replace(rules_of("dall-e-2", "dall-e-2"), max_image_bytes=100)
    with pytest.raises(PrepareError) as raised:
        await prepare_call(job, small, Workers(None), "")
    assert raised.value.failure.reason is FailureReason.INVALID_FIELD
    assert raised.value.failure.message.endswith("as image/png; relay/dall-e-2 takes at most 100")


async def test_what_a_picture_loses_on_its_way_is_said(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    adapter, rules = make_adapter(), rules_of("gpt-image", "gpt-image-2")
    printed = encoded(Image.new("CMYK", (64, 48), "red"), "JPEG")
    deep = encoded(Image.new("I;16", (64, 48), 30_000), "PNG")
    noise = Image.merge("RGB", [Image.effect_noise((160, 120), 60) for _ in "RGB"])
    large = encoded(noise, "PNG", exif=SIDEWAYS)
    small = replace(rules, max_image_bytes=len(large) - 1000)
    prepared = await prepare_call(jobs.make(adapter, printed, deep, large), small, Workers(None), "")
    assert prepared.warnings == (
        "The picture images[0] was converted from CMYK to RGB before it was sent.",
        "The picture images[1] has 16 bits for each channel; it was sent with 8.",
        "The picture images[2] was turned upright before it was sent.",
        "The picture images[2] was sent as image/jpeg of lower quality: the provider takes no more bytes.",
    )


class Workers(workers.Workers):
    """Runs in place, or fails."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self._error:
            raise self._error
        return function(*args, **kwargs)


@pytest.mark.parametrize("error", [WorkerDied("was killed"), Refusal(Reason.DRAINING, "closing")], ids=repr)
async def test_a_worker_that_ended_is_tried_again(
    make_adapter: MakeAdapter, jobs: Jobs, error: Exception
) -> None:
    job = jobs.make(make_adapter(), TURNED)
    with pytest.raises(NotProcessed) as raised:
        await prepare_call(job, rules_of("gpt-image", "gpt-image-2"), Workers(error), "")
    assert raised.value.retry_after_seconds == 5


async def test_a_picture_that_cannot_be_read_ends_the_task(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    job = holding(jobs.make(make_adapter(), TURNED), b"not a picture")
    with pytest.raises(PrepareError) as raised:
        await prepare_call(job, rules_of("gpt-image", "gpt-image-2"), Workers(None), "")
    assert raised.value.failure.reason is FailureReason.IMAGE_UNDECODABLE
