"""Pictures: what is known of their bytes, and the rules for their names."""

import re
from dataclasses import dataclass
from enum import StrEnum

IMAGE_ID = re.compile(r"sha256:[0-9a-f]{64}")
MALFORMED_ID = 'is malformed: an image id is "sha256:" and 64 hex digits, which are lower case'
"""Completes the sentence "image_id …", of one that was cut short or is no id at all."""

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
"""The media types that this service takes and makes, with the file extension of each."""


class Transparency(StrEnum):
    """What a picture's alpha channel says."""

    NONE = "NONE"
    """There is no alpha channel."""
    OPAQUE = "OPAQUE"
    """There is one, and it is 255 everywhere: nothing of the picture is transparent."""
    TRANSPARENT = "TRANSPARENT"
    """Somewhere alpha is below 255."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A stored picture, or what a task says of one.

    ``width`` and ``height`` are pixels with the EXIF orientation applied; ``upright`` is false where that
    orientation turns or mirrors the stored pixels; ``size_bytes`` counts the stored bytes; ``source_url`` is
    the vendor's URL without its query.
    """

    image_id: str
    media_type: str
    width: int
    height: int
    size_bytes: int
    transparency: Transparency = Transparency.NONE
    upright: bool = True
    source_url: str = ""
    revised_prompt: str = ""


def image_id_of(sha256_hex: str) -> str:
    """Name an image by the SHA-256 of its bytes."""
    return f"sha256:{sha256_hex}"
