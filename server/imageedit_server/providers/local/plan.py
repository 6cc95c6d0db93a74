"""What is to be done to a picture: the nouns between the parser (on the loop) and the worker process."""

from dataclasses import dataclass
from enum import StrEnum

from imageedit_server.runtime.workers import JobRefused

RGB = tuple[int, int, int]


class Operation(StrEnum):
    """One thing that can be done to a picture."""

    BRIGHTNESS = "BRIGHTNESS"
    CONTRAST = "CONTRAST"
    SATURATION = "SATURATION"
    WARMTH = "WARMTH"
    FADE = "FADE"
    GRAYSCALE = "GRAYSCALE"
    SEPIA = "SEPIA"
    INVERT = "INVERT"
    TINT = "TINT"
    VIGNETTE = "VIGNETTE"
    BLUR = "BLUR"
    SHARPEN = "SHARPEN"
    FILL = "FILL"
    ERASE = "ERASE"
    FLIP = "FLIP"
    ROTATE = "ROTATE"
    CROP = "CROP"
    SCALE = "SCALE"


GEOMETRY = frozenset({Operation.FLIP, Operation.ROTATE, Operation.CROP, Operation.SCALE})
"""What moves pixels. Impossible with a mask, outside of which every pixel stays."""

INSIDE_A_MASK = frozenset({Operation.FILL, Operation.ERASE})
"""What needs a mask to say where."""


class Region(StrEnum):
    """A part of a picture that is found by its colours."""

    SKIN = "SKIN"
    SHADOWS = "SHADOWS"
    HIGHLIGHTS = "HIGHLIGHTS"


class Axis(StrEnum):
    """Which way a picture is flipped: ``HORIZONTAL`` swaps left and right."""

    HORIZONTAL = "HORIZONTAL"
    VERTICAL = "VERTICAL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One operation with its strength.

    ``amount`` is a share of 1. What can go both ways (brightness, contrast, saturation, warmth) goes from -1
    to 2, the rest from 0 to 1. ``degrees`` turn clockwise. ``size`` is a core size, ``4:3`` or
    ``800x600``, for CROP, and ``50%``, ``1024x`` (wide) or ``x768`` (high) for SCALE.
    ``region`` is None for the whole picture. ``clause`` is what the caller wrote.
    """

    operation: Operation
    amount: float = 1.0
    color: RGB | None = None
    region: Region | None = None
    axis: Axis | None = None
    degrees: float = 0.0
    size: str = ""
    clause: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A whole edit; ``size`` is applied last, ``auto`` changes nothing."""

    steps: tuple[Step, ...]
    size: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Originals:
    """The bytes that are edited: the worker process opens no file for them."""

    image: bytes
    mask: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Edited:
    """What the worker process made: the encoded picture, and what it has to say about it."""

    content: bytes
    warnings: tuple[str, ...] = ()


class PictureError(JobRefused):
    """The picture or its mask cannot be read. The message is one sentence for the caller."""
