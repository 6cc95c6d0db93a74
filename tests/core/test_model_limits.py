"""A model's limits, each broken once: who is told what, before anyone pays (F78, F79, F81)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.image import Image, Transparency, image_id_of
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, AUTO, accepts, nearest, parse_size
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import Status
from imageedit_testing.proto_paths import is_path_of
from tests.core.test_request_rules import numbered

MODEL = Model(
    name="p/m",
    provider="p",
    kinds=frozenset(Kind),
    max_prompt_chars=10,
    min_images=2,
    max_images=3,
    max_reference_images=1,
    mask=MaskUse.OPTIONAL,
    sizes=("1024x1024", "4:3"),
    max_n=4,
    max_image_bytes=1000,
    media_types=("image/png", "image/webp"),
)


def given_image(**fields: Any) -> Input:
    usual: dict[str, Any] = {
        "image_id": image_id_of("0" * 64),
        "media_type": "image/png",
        "width": 8,
        "height": 6,
        "size_bytes": 1000,
    }
    return Input(image=Image(**usual | fields))


def mask(**fields: Any) -> Input:
    return given_image(**{"transparency": Transparency.TRANSPARENT} | fields)


PICTURE = given_image()
REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({"prompt": "x" * 11}, {}, "prompt", "has 11 characters; p/m takes at most 10"),
    ({"prompt": "界" * 11}, {}, "prompt", "has 11 characters"),
    ({"images": (PICTURE,)}, {}, "images", "has 1 pictures; p/m takes 2 to 3"),
    ({"images": (PICTURE,) * 4}, {}, "images", "has 4 pictures; p/m takes 2 to 3"),
    ({}, {"min_images": 1, "max_images": 1}, "images", "p/m takes 1"),
    ({"reference_images": (PICTURE,) * 2}, {}, "reference_images", "takes 1"),
    ({"reference_images": (PICTURE,)}, {"max_reference_images": 0}, "reference_images", "takes none"),
    ({"mask": mask()}, {"mask": MaskUse.NONE}, "mask", "is not taken by p/m"),
    ({}, {"mask": MaskUse.REQUIRED}, "mask", "is required by p/m"),
    ({"n": 5}, {}, "n", "is 5; p/m makes at most 4"),
    ({"n": 2**31 - 1}, {}, "n", "makes at most 4"),
    *(
        ({"size": size}, {}, "size", "p/m takes 1024x1024 4:3")
        for size in (
            "3:4",
            "1024x1025",
            "4:3 ",
            "04:3",
            "４：３",
            "WxH",
            "W:H",
            "0:1",
            "-1",
            "999999x1",
            "4 : 3",
        )
    ),
    ({"size": "4:3"}, {"sizes": ()}, "size", "does not let the size be chosen"),
    *(
        ({"size": size}, {"sizes": ("auto", ANY_PIXELS)}, "size", f"takes auto WxH, with {limit}")
        for limit in ("no side above 8192 pixels, and at most 50000000 pixels in all",)
        for size in ("8193x1", "1x8193", "8192x8192", "999999x999999")
    ),
    ({"size": "101:1"}, {"sizes": (ANY_RATIO,)}, "size", "with no part of a ratio above 100"),
    (
        {"images": (PICTURE, given_image(media_type="image/jpeg"))},
        {},
        "images[1]",
        "is image/jpeg; p/m takes",
    ),
    ({"images": (given_image(size_bytes=1001), PICTURE)}, {}, "images[0]", "has 1001 bytes"),
    ({"reference_images": (given_image(size_bytes=1001),)}, {}, "reference_images[0]", "has 1001 bytes"),
    ({"images": (given_image(size_bytes=1001), PICTURE)}, {"makes_fit": True}, "images[0]", "has 1001 bytes"),
    ({"images": (given_image(size_bytes=1001, upright=False), PICTURE)}, {}, "images[0]", "has 1001 bytes"),
    ({"mask": mask(media_type="image/jpeg")}, {}, "mask", "no alpha channel"),
    ({"mask": mask(transparency=Transparency.NONE)}, {}, "mask", "no alpha channel"),
    ({"mask": mask(transparency=Transparency.OPAQUE)}, {}, "mask", "opaque everywhere"),
    ({"mask": mask(width=6, height=8)}, {}, "mask", "is 6x8; it must be as large as the image, 8x6"),
]


def request(kind: Kind = Kind.EDIT_IMAGE, **fields: Any) -> Request:
    usual: dict[str, Any] = {"kind": kind, "prompt": "x", "images": (PICTURE, PICTURE)}
    return Request(**usual | fields)


@pytest.mark.parametrize(("asked", "model", "field", "told"), REFUSED, ids=numbered(REFUSED))
def test_each_limit_names_its_field_and_the_model(
    asked: dict[str, Any], model: dict[str, Any], field: str, told: str
) -> None:
    violations = check_limits(request(**asked), replace(MODEL, **model))
    assert [violation.field for violation in violations] == [field]
    assert told in violations[0].description
    assert is_path_of(Kind.EDIT_IMAGE, field)


ALLOWED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"prompt": "界" * 10, "n": 4, "images": (PICTURE,) * 3, "reference_images": (PICTURE,)}, {}),
    ({"size": "1024x1024"}, {}),
    ({"size": "auto"}, {"sizes": ()}),
    ({"size": ""}, {}),
    ({"size": "100:1"}, {"sizes": (ANY_RATIO,)}),
    ({"size": "8192x1"}, {"sizes": (ANY_PIXELS,)}),
    ({"mask": mask()}, {}),
    ({"mask": mask(media_type="image/webp")}, {}),
    ({"images": (given_image(size_bytes=1001, upright=False), PICTURE)}, {"makes_fit": True}),
    ({"images": (Input(url="https://h/a"),) * 2, "mask": Input(url="https://h/m")}, {}),
    ({"images": (Input(url="https://h/a"), PICTURE), "mask": mask(width=1)}, {}),
]


@pytest.mark.parametrize(("asked", "model"), ALLOWED, ids=numbered(ALLOWED))
def test_what_is_just_within_the_limits_is_allowed(asked: dict[str, Any], model: dict[str, Any]) -> None:
    """Of pictures behind URLs nothing is known yet: they are looked at again when they were fetched."""
    assert check_limits(request(**asked), replace(MODEL, **model)) == []


@pytest.mark.parametrize("kind", [Kind.MODEL_EDIT, Kind.DEFAULT_MODEL])
def test_limits_are_told_in_the_words_of_each_request(kind: Kind) -> None:
    """A model edit has no ``images`` and no ``prompt``; what is wrong is with its own fields."""
    asked = request(kind, prompt="x" * 11, size="3:4", images=(given_image(media_type="image/jpeg"),))
    violations = check_limits(asked, MODEL)
    assert len(violations) >= 3 - (kind is Kind.DEFAULT_MODEL)
    for violation in violations:
        if not (kind is Kind.DEFAULT_MODEL and violation.field == "prompt"):  # it has no prompt of the caller
            assert is_path_of(kind, violation.field), violation


# Sizes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auto",
        "WxH",
        "1024",
        "0x1",
        "1x0",
        "-1x1",
        "1.5:1",
        "1x1x1",
        "01x1",
        "1X1",
        "1×1",
        "４:3",
        "٤:٣",
        "4:3\n",
    ],
)
def test_what_is_no_size_is_none(text: str) -> None:
    assert parse_size(text) is None
    assert not accepts((ANY_PIXELS, ANY_RATIO), text)


@pytest.mark.parametrize("text", ["8193x1", "1x8193", "8192x8192", "999999x1", "101:1", "1:101"])
def test_what_is_too_large_is_not_taken(text: str) -> None:
    assert not accepts((ANY_PIXELS, ANY_RATIO), text)


side = st.integers(1, 999_999)


@given(side, side, st.sampled_from("x:"))
def test_a_size_is_read_as_it_is_written(width: int, height: int, kind: str) -> None:
    text = f"{width}{kind}{height}"
    shape = parse_size(text)
    assert shape is not None
    assert (shape.width, shape.height, shape.is_ratio) == (width, height, kind == ":")
    assert accepts((text,), text)
    assert not accepts((), text)


@given(st.lists(st.sampled_from(["1:1", "4:3", "3:4", "16:9", "1024x1024", "1536x1024"])), side, side)
def test_the_nearest_size_is_one_of_those_offered(sizes: list[str], width: int, height: int) -> None:
    found = nearest(sizes, width, height)
    assert (found == "") == (not sizes)
    if sizes:
        assert accepts(sizes, found)
        assert nearest([*sizes, AUTO], width, height) == AUTO


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(100, 100, "1:1"), (400, 300, "4:3"), (300, 400, "3:4"), (4000, 1000, "16:9"), (1, 8000, "3:4")],
)
def test_the_nearest_in_shape_is_chosen(width: int, height: int, expected: str) -> None:
    assert nearest(("1:1", "4:3", "3:4", "16:9"), width, height) == expected


def test_of_equal_shapes_the_largest_is_chosen() -> None:
    assert nearest(("512x512", "1024x1024", "256x256"), 7, 7) == "1024x1024"


def test_patterns_are_no_sizes_to_choose() -> None:
    assert nearest((ANY_PIXELS, ANY_RATIO), 3, 4) == ""


@pytest.mark.parametrize(
    ("size", "model", "images", "chosen", "warned"),
    [
        ("4:3", {}, (PICTURE,), "4:3", False),
        ("", {}, (PICTURE,), "4:3", True),
        ("auto", {}, (PICTURE,), "4:3", True),
        ("", {"default_size": "1024x1024"}, (PICTURE,), "1024x1024", False),
        ("auto", {"sizes": (AUTO, ANY_PIXELS)}, (PICTURE,), AUTO, False),
        ("", {"sizes": ()}, (PICTURE,), "", False),
        ("", {}, (Input(url="https://h/a"),), "", False),
        ("4:3", {}, (Input(url="https://h/a"),), "4:3", False),
    ],
)
def test_the_size_is_chosen_once_it_can_be(
    size: str, model: dict[str, Any], images: tuple[Input, ...], chosen: str, warned: bool
) -> None:
    """A choice of ours is a warning; a choice of the caller or the model's default is none."""
    status = with_size(Status(), request(size=size, images=images), replace(MODEL, **model))
    assert status.size == chosen
    assert bool(status.warnings) == warned
    assert with_size(status, request(size=size, images=images), replace(MODEL, **model)) == status
