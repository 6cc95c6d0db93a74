"""Pillow as every reader of pictures here uses it: three formats, room for their profiles, samples as meant.

Import this before you open a picture; the settings are the process's.
"""

from io import BytesIO
from typing import IO, Literal, cast

from PIL import (
    Image,
    ImageFile,
    ImageMath,
    PngImagePlugin,
    WebPImagePlugin,  # noqa: F401  registers WebP, for which Pillow would otherwise load all its formats
)

from imageedit_server.images.structure import Data, format_of, png_header
from imageedit_server.images.trimming.limits import MAX_PROFILE_BYTES

Format = Literal["PNG", "JPEG", "WEBP"]
FORMATS: tuple[Format, ...] = ("PNG", "JPEG", "WEBP")

DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")
"""Pillow's modes of 16 bits."""
_GRAY_WITH_ALPHA = 4
"""A color type of PNG."""

Image.preinit()  # else each new worker would load the other formats for itself
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES
"""Pillow has one limit for texts and profiles, and refuses the picture; texts are bounded by ``trimming``."""


def opened(data: Data, *formats: str) -> ImageFile.ImageFile:
    """Open a picture, of ``formats`` where they are given; nothing is decoded yet. Raises as Pillow does."""
    file = BytesIO(data) if isinstance(data, bytes) else cast(IO[bytes], data)  # an mmap reads like a file
    return Image.open(file, formats=formats or FORMATS)


def as_meant(image: Image.Image, data: Data) -> Image.Image:
    """Mend what Pillow made of ``data``, if that is a PNG whose samples have other than 8 bits.

    It reads 16 bits of gray with alpha as color, and leaves the transparent color as the file has it, whose
    samples it scales to 8 bits.
    """
    depth, color = png_header(data) if format_of(data) == "PNG" else (8, 0)
    if color == _GRAY_WITH_ALPHA and image.mode == "RGBA":
        return image.convert("LA")
    key, most = image.info.get("transparency"), 2**depth - 1
    if isinstance(key, int) and image.mode == "L":
        image.info["transparency"] = (key & most) * 255 // most
    elif isinstance(key, tuple):
        image.info["transparency"] = tuple((sample & most) >> (depth - 8) for sample in key)
    return image


def plain(image: Image.Image) -> Image.Image:
    """Return a picture that was read with 8 bits and, if it has transparency, with a channel for it.

    The mode is L, LA, RGB, RGBA or CMYK.
    """
    if image.mode in DEEP:
        return _eight_bits(image)
    gray = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        return image.convert("LA" if gray else "RGBA")
    return image.convert("L" if gray else image.mode if image.mode == "CMYK" else "RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 16 bits of gray as 8, its transparent tone as alpha; Pillow's own ``convert`` would clip it."""
    tones = image.convert("I")
    gray = tones.point(lambda tone: tone * (1 / 257) + 0.5).convert("L")
    key = image.info.get("transparency")
    if key is not None:
        gray.putalpha(
            ImageMath.lambda_eval(lambda of: of["convert"]((of["tones"] != key) * 255, "L"), tones=tones)
        )
    return gray
