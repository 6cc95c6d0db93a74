"""Pictures made ready: nothing is touched that need not be, and nothing is lost that matters."""

from dataclasses import replace
from typing import Any

import pytest
from PIL import Image, ImageChops

from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.image import EXTENSIONS
from imageedit_server.providers.base import NotProcessed, PrepareError
from imageedit_server.providers.openai.calls import Form, prepare_call
from imageedit_server.providers.openai.pictures import Ready, make_mask_ready, make_ready
from imageedit_server.providers.openai.rules import rules_of
from imageedit_server.runtime import workers
from imageedit_server.runtime.workers import WorkerDied
from tests.providers.adapters import holding
from tests.providers.openai.conftest import SETTINGS, MakeAdapter
from tests.providers.openai.jobs import Jobs, decoded, encoded, mask, opened, picture
from tests.vendors.openai.server import Personality

ALL = tuple(EXTENSIONS)
PNG = ("image/png",)


def turned_by(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


TURNED = picture("PNG", exif=turned_by(3))


def palette_image() -> Image.Image:
    """One pixel of color 2, the others of color 1."""
    image = Image.new("P", (8, 6), 1)
    image.putpalette([shade for shade in range(256) for _ in range(3)])
    image.putpixel((0, 0), 2)
    return image


def same(one: bytes, other: bytes) -> bool:
    difference = ImageChops.difference(opened(one), opened(other))
    return difference.getbbox(alpha_only=False) is None


@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
def test_a_conversion_to_png_loses_nothing(name: str) -> None:
    content = picture(name)
    made = make_ready(content, PNG)
    assert (made.media_type, made.converted, made.turned) == ("image/png", True, False)
    assert decoded(made.content).format == "PNG"
    assert same(made.content, content)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_survives_being_turned(mode: str) -> None:
    image = Image.new(mode, (8, 6))
    made = make_ready(encoded(image, "PNG", exif=turned_by(6)), PNG)
    assert (decoded(made.content).mode, decoded(made.content).size) == (mode, (6, 8))


def test_printing_colors_become_screen_colors() -> None:
    made = make_ready(encoded(Image.new("CMYK", (8, 6), "red"), "JPEG"), PNG)
    assert decoded(made.content).mode == "RGB"


def test_transparent_colors_of_a_palette_stay_transparent() -> None:
    made = make_ready(encoded(palette_image(), "PNG", transparency=1, exif=turned_by(3)), PNG)
    assert made.turned
    alpha = opened(made.content).getchannel("A")
    assert (alpha.getpixel((7, 5)), alpha.getpixel((0, 0))) == (255, 0)


def test_the_color_profile_stays() -> None:
    profile = b"\0" * 128 + b"profile"
    made = make_ready(picture("JPEG", icc_profile=profile), PNG)
    assert decoded(made.content).info["icc_profile"] == profile


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_a_turned_picture_is_made_upright_in_its_own_format(name: str) -> None:
    made = make_ready(picture(name, (48, 64), exif=turned_by(6)), ALL)
    assert (made.media_type, made.turned, made.converted) == (Image.MIME[name], True, False)
    assert decoded(made.content).size == (64, 48)
    assert 0x0112 not in decoded(made.content).getexif()


# Masks


def test_a_png_mask_keeps_its_bytes() -> None:
    assert make_mask_ready(mask()) == Ready(content=mask(), media_type="image/png")


def test_another_mask_keeps_its_transparency() -> None:
    made = make_mask_ready(mask("WEBP"))
    assert (made.media_type, made.converted) == ("image/png", True)
    before, after = decoded(mask("WEBP")), decoded(made.content)
    assert after.mode == "RGBA"
    assert ImageChops.difference(before.getchannel("A"), after.getchannel("A")).getbbox() is None


def test_a_mask_without_a_channel_of_its_own_gets_one() -> None:
    """A colour key in a palette is transparency to us, but not to a vendor that wants an alpha channel."""
    made = make_mask_ready(encoded(palette_image(), "PNG", transparency=1))
    assert made.converted
    alpha = decoded(made.content).getchannel("A")
    assert (alpha.getpixel((0, 0)), alpha.getpixel((1, 0))) == (255, 0)


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
