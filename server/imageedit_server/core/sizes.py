"""Sizes of results: parsing what callers write and choosing for those who do not.

A size is one string: ``1024x1024`` in pixels, ``4:3`` as a ratio, or ``auto``.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

AUTO = "auto"
ANY_PIXELS = "WxH"
ANY_RATIO = "W:H"
MAX_SIDE = 8192
MAX_PIXELS = 50_000_000
MAX_RATIO_PART = 100

_SIZE = re.compile(r"([1-9][0-9]{0,5})([x:])([1-9][0-9]{0,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shape:
    """A width and a height, in pixels or as the two parts of a ratio."""

    width: int
    height: int
    is_ratio: bool

    @property
    def ratio(self) -> float:
        """Width divided by height."""
        return self.width / self.height


def parse_size(text: str) -> Shape | None:
    """Read ``1024x1024`` or ``4:3``; None for anything else, ``auto`` included."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    width, kind, height = match.groups()
    return Shape(int(width), int(height), is_ratio=kind == ":")


def accepts(sizes: Iterable[str], size: str) -> bool:
    """Whether a model with these ``sizes`` takes this explicit ``size``."""
    offered = tuple(sizes)
    if size in offered and size not in (ANY_PIXELS, ANY_RATIO):
        return True
    shape = parse_size(size)
    if shape is None:
        return False
    if shape.is_ratio:
        return ANY_RATIO in offered and max(shape.width, shape.height) <= MAX_RATIO_PART
    fits = max(shape.width, shape.height) <= MAX_SIDE and shape.width * shape.height <= MAX_PIXELS
    return ANY_PIXELS in offered and fits


def limit_of(sizes: Iterable[str], size: str) -> str:
    """Name the limit of ``size`` where any size of its form is offered; empty where some are, or none."""
    shape, offered = parse_size(size), tuple(sizes)
    if shape is None or (ANY_RATIO if shape.is_ratio else ANY_PIXELS) not in offered:
        return ""
    if shape.is_ratio:
        return f"no part of a ratio above {MAX_RATIO_PART}"
    return f"no side above {MAX_SIDE} pixels, and at most {MAX_PIXELS} pixels in all"


def nearest(sizes: Iterable[str], width: int, height: int) -> str:
    """Choose the size whose shape is nearest to ``width`` x ``height``; ``auto`` where the model has it.

    Empty when the model has no sizes to choose from. Among equal shapes the largest wins.
    """
    offered = tuple(sizes)
    if AUTO in offered:
        return AUTO
    shapes = [(size, shape) for size in offered if (shape := parse_size(size))]
    if not shapes:
        return ""

    def distance(item: tuple[str, Shape]) -> tuple[float, int]:
        _, shape = item
        return round(abs(math.log(shape.ratio * height / width)), 9), -shape.width * shape.height

    return min(shapes, key=distance)[0]
