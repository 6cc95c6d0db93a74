"""Pillow as every reader of pictures here uses it: three formats, and room for the profiles that there are.

Import this before you open a picture; the settings are the process's.
"""

from io import BytesIO
from typing import IO, Literal, cast

from PIL import (
    Image,
    PngImagePlugin,
    WebPImagePlugin,  # noqa: F401  registers WebP, for which Pillow would otherwise load all its formats
)

from imageedit_server.images.structure import Data
from imageedit_server.images.trimming.limits import MAX_PROFILE_BYTES

Format = Literal["PNG", "JPEG", "WEBP"]
FORMATS: tuple[Format, ...] = ("PNG", "JPEG", "WEBP")

Image.preinit()  # else each new worker would load the other formats for itself
PngImagePlugin.MAX_TEXT_CHUNK = MAX_PROFILE_BYTES
"""Pillow has one limit for texts and profiles, and refuses the picture; texts are bounded by ``trimming``."""


def opened(data: Data, *formats: str) -> Image.Image:
    """Open a picture, of ``formats`` where they are given; nothing is decoded yet. Raises as Pillow does."""
    file = BytesIO(data) if isinstance(data, bytes) else cast(IO[bytes], data)  # an mmap reads like a file
    return Image.open(file, formats=formats or FORMATS)
