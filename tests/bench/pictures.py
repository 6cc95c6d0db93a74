"""The pictures that are measured: noise, and photographs like those of a camera.

A photograph is made from the one of ``tests/photos``, cut square and enlarged; where that alone would make it
smoother, and smaller, than any camera's, with the grain of a sensor on it. The same bytes come out each time.
"""

import io
import os
import struct
import zlib
from dataclasses import dataclass
from math import isqrt
from random import Random

from PIL import Image, ImageChops

from tests.bench.processes import MIB
from tests.servers.programs import ROOT

PHOTO = ROOT / "tests" / "photos" / "grace_hopper.jpg"
JPEG_QUALITY = 92
JPEG_START, PNG_START = 2, 8 + 25
"""What comes first: the marker of the start; the signature and the header."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A picture; ``key`` is a word for paths and models, ``name`` what the tables call it."""

    key: str
    name: str
    media_type: str
    content: bytes


def small_noise() -> Picture:
    """27 KB of which nothing can be compressed: as good as nothing to look at."""
    return Picture(key="noise", name="27 KB", media_type="image/png", content=noise(27 / 1024))


def png_photograph(side: int = 1024) -> Picture:
    """A photograph as PNG: 1.2 MiB at 1024²."""
    content = _encoded(_photograph(side, grain=0), "PNG")
    return Picture(key="png", name=f"PNG {side}²", media_type="image/png", content=content)


def jpeg_photograph(side: int = 2048) -> Picture:
    """A photograph as JPEG: 0.9 MiB at 2048²."""
    content = _encoded(_photograph(side, grain=7), "JPEG", quality=JPEG_QUALITY)
    return Picture(key="jpeg", name=f"JPEG {side}²", media_type="image/jpeg", content=content)


def another(picture: Picture, number: int) -> bytes:
    """A picture with the same pixels that differs in a comment."""
    comment = f"Comment\0{number:012}".encode()
    if picture.media_type == "image/jpeg":
        start, length = JPEG_START, struct.pack(">H", len(comment) + 2)
        inserted = b"\xff\xfe" + length + comment
    else:
        start, chunk = PNG_START, b"tEXt" + comment
        inserted = struct.pack(">I", len(comment)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return picture.content[:start] + inserted + picture.content[start:]


def noise(mib: float) -> bytes:
    """A PNG of about so many MiB that no one can compress."""
    side = isqrt(int(mib * MIB) // 3)
    return _encoded(
        Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)), "PNG", compress_level=0
    )


def _photograph(side: int, grain: int) -> Image.Image:
    """The photograph with each value at most ``grain`` away from what it was."""
    with Image.open(PHOTO) as photo:
        square = photo.convert("RGB").crop((0, 0, photo.width, photo.width))
    large = square.resize((side, side), Image.Resampling.LANCZOS)
    random = Image.frombytes("RGB", large.size, Random(side).randbytes(side * side * 3))
    grains = random.point([value * (2 * grain + 1) // 256 for value in range(256)] * 3)
    return ImageChops.add(large, grains, offset=-grain)


def _encoded(picture: Image.Image, kind: str, **how: int) -> bytes:
    with io.BytesIO() as content:
        picture.save(content, kind, **how)
        return content.getvalue()
