"""Pictures whose structure is wrong: parts lost, doubled, out of order or too many, lengths that lie.

Strategies of Hypothesis, which know the formats: bytes that are changed anywhere seldom get past a checksum.
"""

import io
import struct
from collections.abc import Callable
from functools import cache
from itertools import pairwise

from hypothesis import strategies as st
from PIL import Image

from imageedit_server.images.structure import jpeg_parts, png_parts, webp_parts
from tests.fuzz.drawing import ONE_IN_FOUR, ONE_IN_TEN, PLACE, disorder
from tests.fuzz.odd_jpegs import SCANS, jpeg_changed, scan_again
from tests.fuzz.odd_parts import EXIF, PROFILE
from tests.fuzz.odd_pngs import png_changed
from tests.fuzz.odd_webps import webp_changed
from tests.images.pictures import PHOTO, encoded
from tests.pictures.ordinary import deep_png

BEHIND = b"behind the end"
"""Stands in all that is put behind a picture's end, and in no picture."""
TAILS = (BEHIND, BEHIND * 9, bytes(40) + BEHIND, b"\xff" + BEHIND, BEHIND + b"\0\0\0\0IEND\xaeB`\x82")


@cache
def _seeds() -> dict[str, list[bytes]]:
    with Image.open(io.BytesIO(PHOTO)) as whole:
        photo = whole.convert("RGB").resize((64, 48))
    gray, alpha = photo.convert("L"), photo.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(photo.size))
    others = {"save_all": True, "append_images": [gray.convert("RGB")]}
    exif = b"Exif\0\0" + EXIF[0]
    return {
        "JPEG": [
            encoded(photo, "JPEG", exif=exif, icc_profile=PROFILE),
            encoded(photo, "JPEG", progressive=True, subsampling=1),
            encoded(photo, "JPEG", restart_marker_blocks=2, subsampling=0),
            encoded(photo.convert("CMYK"), "JPEG"),
            encoded(gray, "JPEG", progressive=True),
            encoded(photo, "MPO", exif=exif, **others),
        ],
        "PNG": [
            encoded(photo, "PNG", icc_profile=PROFILE, exif=EXIF[0]),
            encoded(alpha, "PNG"),
            encoded(photo.quantize(32), "PNG", transparency=bytes(range(0, 256, 8))),
            encoded(photo, "PNG", transparency=photo.getpixel((0, 0))),
            encoded(photo.convert("1"), "PNG"),
            encoded(photo, "PNG", **others),
            deep_png(gray, 16, 0),
            deep_png(photo, 16, 2),
        ],
        "WEBP": [
            encoded(photo, "WEBP", exif=exif, icc_profile=PROFILE),
            encoded(alpha, "WEBP", quality=60),
            encoded(alpha, "WEBP", lossless=True),
            encoded(photo, "WEBP", **others),
        ],
        "others": [
            *(
                encoded(photo, name)
                for name in ("GIF", "TIFF", "BMP", "ICO", "TGA", "PPM", "JPEG2000", "AVIF")
            ),
            encoded(photo, "GIF", **others),
            *(exif for exif in EXIF if exif),
        ],
    }


@cache
def _many_scans(times: int) -> bytes:
    """Make a picture of as many pixels as are taken, and its last scan so many times."""
    pieces = _pieces("JPEG", encoded(Image.new("L", (1_000, 1_000), 128), "JPEG", progressive=True))
    scan_again(pieces, -1, times)
    return b"".join(pieces)


def _pieces(name: str, data: bytes) -> list[bytes]:
    """Take a sound picture apart, all of it: what is between two parts belongs to the first of them."""
    if name == "others":
        return [data[start : start + 40] for start in range(0, len(data), 40)]
    parts = [*{"PNG": png_parts, "JPEG": jpeg_parts, "WEBP": webp_parts}[name](data)]
    starts = [0, *(part.start for part in parts), len(data)]
    return [data[start:end] for start, end in pairwise(starts)]


def _other_changed(draw: st.DrawFn, pieces: list[bytes], _most: int) -> None:
    disorder(draw, pieces)


CHANGED: dict[str, Callable[[st.DrawFn, list[bytes], int], None]] = {
    "JPEG": jpeg_changed,
    "PNG": png_changed,
    "WEBP": webp_changed,
    "others": _other_changed,
}
NAMES = st.sampled_from(("JPEG", "JPEG", "JPEG", "PNG", "PNG", "PNG", "WEBP", "WEBP", "WEBP", "others"))
HOW_MANY = st.sampled_from((0, 1, 1, 1, 2, 2, 4))
ANY_TAIL = st.sampled_from(TAILS)


@st.composite
def structures(draw: st.DrawFn, most: int = 110_000) -> bytes:
    """Draw a picture with a few changes, none of which puts more than ``most`` of anything into it."""
    if draw(ONE_IN_TEN):
        return _many_scans(min(draw(SCANS), most))
    name = draw(NAMES)
    seeds = _seeds()[name]
    pieces = _pieces(name, seeds[draw(PLACE) % len(seeds)])
    for _ in range(draw(HOW_MANY)):
        CHANGED[name](draw, pieces, most)
    whole = b"".join(pieces)
    if name == "WEBP" and not draw(ONE_IN_FOUR):  # else a reader would stop where the old one ended
        whole = whole[:4] + struct.pack("<I", max(len(whole) - 8, 0)) + whole[8:]
    if draw(ONE_IN_TEN):
        whole = whole[: draw(PLACE) % (len(whole) + 1)]
    return whole + draw(ANY_TAIL) if draw(ONE_IN_FOUR) else whole
