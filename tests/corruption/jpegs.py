"""JPEGs of every kind, by Pillow, and what may be wrong with one."""

import random
from functools import cache
from typing import Any

from PIL import Image

from tests.corruption.changes import CHANGES, out_of_order
from tests.images.pictures import encoded

MODES = ("RGB", "L", "CMYK")
SAMPLINGS = (0, 1, 2)
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"progressive": True},
    {"restart_marker_blocks": 2},
    {"progressive": True, "restart_marker_rows": 1},
)
_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
_SIZES = ((40, 30), (1, 1), (17, 9), (64, 64), (7, 50), (40, 30), (17, 9), (300, 400))
_FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC9, 0xCA, 0xCB)


def corrupted(rng: random.Random) -> bytes:
    """One JPEG with one thing wrong, or with none that matters."""
    data = _jpeg(
        rng.choice(MODES),
        rng.choice(_SIZES),
        rng.choice(SAMPLINGS),
        rng.randrange(len(WAYS)),
        rng.randrange(2),
    )
    match rng.randrange(7):
        case 0:
            return rng.choice(CHANGES)(rng, data)
        case 1:
            return data[:2] + b"".join(out_of_order(rng, _segments(data)))
        case 2:  # what stands before the pixels
            start = data.index(b"\xff\xda")
            return rng.choice(CHANGES)(rng, data[:start]) + data[start:]
        case 3:
            return _frame_changed(rng, data)
        case _:  # the pixels
            start = data.index(b"\xff\xda")
            return data[:start] + rng.choice(CHANGES)(rng, data[start:-2]) + data[-2:]


def _frame_changed(rng: random.Random, data: bytes) -> bytes:
    """Of another kind, or with another size, number of components or sampling."""
    changed = bytearray(data)
    start = next(at for kind in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2") if (at := data.find(kind)) >= 0)
    if rng.randrange(2):
        changed[start + 1] = rng.choice(_FRAMES)
    else:
        changed[start + rng.randrange(4, 19)] = rng.choice(
            (0, 1, 2, 3, 4, 8, 12, 0x11, 0x12, 0x21, 0x22, 0x44)
        )
    return bytes(changed)


@cache
def _jpeg(mode: str, size: tuple[int, int], sampling: int, way: int, exif: int) -> bytes:
    rng = random.Random(f"{mode}{size}{sampling}{way}")
    width, height = (
        size if size[0] > 100 else (4, 4)
    )  # of the largest there is more than Pillow reads at once
    samples = rng.randbytes(width * height * len(Image.new(mode, (1, 1)).getbands()))
    image = Image.frombytes(mode, (width, height), samples).resize(size)
    return encoded(image, "JPEG", subsampling=sampling, **WAYS[way], **({"exif": _EXIF} if exif else {}))


def _segments(data: bytes) -> list[bytes]:
    """The segments with their markers; scans with what follows them."""
    segments, start = [], 2
    while data[start + 1] != 0xD9:
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if data[start + 1] == 0xDA:
            while data[end] != 0xFF or data[end + 1] == 0 or 0xD0 <= data[end + 1] <= 0xD7:
                end += 1
        segments.append(data[start:end])
        start = end
    return [*segments, data[start:]]
