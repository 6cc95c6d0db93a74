"""Sizes: what is read, what a model takes, and what is chosen for those who do not say (F78)."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imageedit_server.core.sizes import (
    ANY_PIXELS,
    ANY_RATIO,
    AUTO,
    MAX_PIXELS,
    MAX_RATIO_PART,
    MAX_SIDE,
    Shape,
    accepts,
    nearest,
    parse_size,
)

PATTERNS = (AUTO, ANY_PIXELS, ANY_RATIO)
PARTS = st.integers(1, 999_999)
SIDES = st.integers(1, 20_000)
RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9")

NO_SIZE = [
    *("", "auto", "AUTO", ANY_PIXELS, ANY_RATIO, "4:3 ", " 4:3", "4:3\n", "4: 3", "0:1", "1:0", "-1", "-1:1"),
    *(
        "4：３",
        "４:３",
        "٤:٣",
        "²:1",
        "4.0:3",
        "1e3x1",
        "+4:3",
        "04:3",
        "1024X1024",
        "1024×1024",
        "1024*1024",
    ),
    *("1024", "1024x", "x1024", "1024x1024x1", "4:3:2", "1000000x1", "1x1000000", "4x3\0", "0x10x10"),
]


@pytest.mark.parametrize("text", NO_SIZE)
def test_nothing_else_is_a_size(text: str) -> None:
    """F78: no trimming, no other digits, no zero."""
    assert parse_size(text) is None
    assert text in PATTERNS or not accepts(PATTERNS, text)


@given(PARTS, PARTS, st.booleans())
def test_a_size_is_read_as_it_is_written(width: int, height: int, is_ratio: bool) -> None:
    shape = parse_size(f"{width}{':' if is_ratio else 'x'}{height}")
    assert shape == Shape(width, height, is_ratio=is_ratio)
    assert shape.ratio == width / height


@given(st.text("0123456789:xX -+.\n４：auto", max_size=12))
@example("999999x1")
def test_what_is_read_is_written_in_one_way_only(text: str) -> None:
    shape = parse_size(text)
    if shape is not None:
        assert text == f"{shape.width}{':' if shape.is_ratio else 'x'}{shape.height}"


@pytest.mark.parametrize(
    ("sizes", "size", "taken"),
    [
        (("1024x1024",), "1024x1024", True),
        (("1024x1024",), "1024x1025", False),
        (("1024x1024",), "1:1", False),
        (("4:3",), "4:3", True),
        (("4:3",), "8:6", False),
        ((AUTO,), AUTO, True),
        ((AUTO,), "1024x1024", False),
        ((), "1:1", False),
        ((), "", False),
        ((ANY_PIXELS,), ANY_PIXELS, False),
        ((ANY_RATIO,), ANY_RATIO, False),
        ((ANY_PIXELS,), "1:1", False),
        ((ANY_RATIO,), "1x1", False),
        ((ANY_PIXELS,), f"{MAX_SIDE}x1", True),
        ((ANY_PIXELS,), f"1x{MAX_SIDE + 1}", False),
        ((ANY_PIXELS,), "999999x1", False),
        ((ANY_PIXELS,), "8000x6250", True),
        ((ANY_PIXELS,), "8000x6251", False),
        ((ANY_PIXELS, "9000x9000"), "9000x9000", True),
        ((ANY_RATIO,), f"{MAX_RATIO_PART}:1", True),
        ((ANY_RATIO,), f"1:{MAX_RATIO_PART + 1}", False),
    ],
)
def test_a_model_takes_what_it_offers(sizes: tuple[str, ...], size: str, taken: bool) -> None:
    assert accepts(sizes, size) is taken
    assert accepts(iter(sizes), size) is taken


@given(PARTS, PARTS)
def test_no_pattern_takes_more_than_the_house_can_hold(width: int, height: int) -> None:
    taken = accepts(PATTERNS, f"{width}x{height}")
    assert taken is (max(width, height) <= MAX_SIDE and width * height <= MAX_PIXELS)


# Choosing

OFFERS = st.lists(st.sampled_from([*RATIOS, "1024x1024", "512x512", "1536x1024", "1024x1536"]), unique=True)


@given(OFFERS, SIDES, SIDES)
def test_the_nearest_is_one_that_the_model_takes(sizes: list[str], width: int, height: int) -> None:
    chosen = nearest(sizes, width, height)
    assert (chosen == "") is (not sizes)
    assert not sizes or accepts(sizes, chosen)


@given(OFFERS.filter(bool), SIDES, SIDES)
def test_no_other_is_nearer(sizes: list[str], width: int, height: int) -> None:
    def distance(size: str) -> float:
        shape = parse_size(size)
        assert shape is not None
        return abs(math.log(shape.ratio) - math.log(width / height))

    assert distance(nearest(sizes, width, height)) <= min(map(distance, sizes)) + 1e-8


@given(OFFERS, SIDES, SIDES)
def test_turning_the_picture_turns_the_choice(sizes: list[str], width: int, height: int) -> None:
    """Where the offer has both ways round; neither landscape nor portrait is preferred."""
    both = [*sizes, *(turned(size) for size in sizes if turned(size) not in sizes)]
    chosen, other = nearest(both, width, height), nearest(both, height, width)
    if chosen:
        assert ratio_of(chosen) == pytest.approx(ratio_of(turned(other))) or chosen == other


@given(st.lists(st.sampled_from([*RATIOS, AUTO, ANY_PIXELS])), SIDES, SIDES)
def test_auto_is_chosen_wherever_it_is_offered(sizes: list[str], width: int, height: int) -> None:
    assert (nearest(sizes, width, height) == AUTO) is (AUTO in sizes)


@pytest.mark.parametrize(
    ("sizes", "width", "height", "chosen"),
    [
        (RATIOS, 4000, 3000, "4:3"),
        (RATIOS, 3000, 4000, "3:4"),
        (RATIOS, 10_000, 1, "21:9"),
        (RATIOS, 1, 10_000, "9:16"),
        (("256x256", "1024x1024", "512x512"), 64, 48, "1024x1024"),
        ((ANY_PIXELS,), 64, 48, ""),
        ((ANY_PIXELS, ANY_RATIO, "1:1"), 64, 48, "1:1"),
        ((), 64, 48, ""),
    ],
)
def test_the_nearest_shape_is_chosen_and_of_equal_shapes_the_largest(
    sizes: tuple[str, ...], width: int, height: int, chosen: str
) -> None:
    assert nearest(sizes, width, height) == chosen


def turned(size: str) -> str:
    separator = ":" if ":" in size else "x"
    width, _, height = size.partition(separator)
    return f"{height}{separator}{width}"


def ratio_of(size: str) -> float:
    shape = parse_size(size)
    assert shape is not None
    return shape.ratio
