"""What a vendor made otherwise than it was asked is said in numbers."""

from typing import Any

import pytest

from imageedit_server.core.deviations import deviations
from imageedit_server.core.image import Image
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Kind, Request


def image(width: int, height: int, media_type: str = "image/png") -> Image:
    return Image(image_id="sha256:0", media_type=media_type, width=width, height=height, size_bytes=1)


def said(size: str, *images: Image, output_format: str = "", **more: Any) -> list[str]:
    options = OpenaiOptions(output_format=output_format) if output_format else None
    request = Request(
        kind=Kind.EDIT_IMAGE, model="m", prompt="x", options=options, **{"n": len(images), **more}
    )
    return list(deviations(request, size, images))


@pytest.mark.parametrize("size", ["", "auto", "1024x1024", "1:1"])
def test_what_was_asked_for_needs_no_words(size: str) -> None:
    assert said(size, image(1024, 1024)) == []


def test_another_size_and_type_are_said_in_numbers() -> None:
    assert said("1024x1024", image(887, 1774, "image/jpeg"), output_format="png") == [
        "Asked 1024x1024 PNG, got 887x1774 JPEG."
    ]


@pytest.mark.parametrize(
    ("size", "output_format", "sentence"),
    [
        ("1024x640", "", "Asked 1024x640, got 1024x1024 WebP."),
        ("4:3", "", "Asked 4:3, got 1024x1024 WebP."),
        ("", "jpeg", "Asked JPEG, got 1024x1024 WebP."),
        ("auto", "png", "Asked PNG, got 1024x1024 WebP."),
        ("1024x1024", "png", "Asked 1024x1024 PNG, got 1024x1024 WebP."),
    ],
)
def test_only_what_was_asked_for_is_told(size: str, output_format: str, sentence: str) -> None:
    assert said(size, image(1024, 1024, "image/webp"), output_format=output_format) == [sentence]


@pytest.mark.parametrize(
    ("ratio", "width", "height", "is_taken"),
    [
        ("4:3", 2304, 1728, True),
        ("16:9", 1344, 768, True),
        ("21:9", 3024, 1296, True),
        ("4:3", 64, 47, True),
        ("9:16", 768, 1344, True),
        ("4:3", 1024, 1024, False),
        ("16:9", 768, 1344, False),
        ("2:3", 1024, 1448, False),
    ],
)
def test_a_ratio_is_rounded_to_what_models_draw_in(
    ratio: str, width: int, height: int, is_taken: bool
) -> None:
    assert (said(ratio, image(width, height)) == []) is is_taken


def test_each_picture_is_looked_at_and_said_once() -> None:
    images = [image(512, 512), image(1024, 1024), image(512, 512), image(256, 256)]
    assert said("1024x1024", *images) == [
        "Asked 1024x1024, got 512x512 PNG.",
        "Asked 1024x1024, got 256x256 PNG.",
    ]


@pytest.mark.parametrize(
    ("asked", "got", "sentence"),
    [
        (2, 1, "The provider sent 1 picture where 2 were asked for."),
        (1, 2, "The provider sent 2 pictures where 1 was asked for."),
    ],
)
def test_another_number_is_said(asked: int, got: int, sentence: str) -> None:
    assert said("", *[image(8, 8)] * got, n=asked) == [sentence]
