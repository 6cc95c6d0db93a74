"""WebPs of every kind, by Pillow, and what may be wrong with one."""

import random
from functools import cache
from typing import Any

from PIL import Image

from tests.corruption.changes import CHANGES, out_of_order
from tests.images.pictures import encoded

WAYS: tuple[dict[str, Any], ...] = (
    {"quality": 80},
    {"quality": 20, "alpha_quality": 50},
    {"lossless": True},
    {"lossless": True, "exact": True},
)
_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
_MORE: tuple[dict[str, Any], ...] = ({}, {}, {"exif": _EXIF}, {"icc_profile": b"profile", "xmp": b"<x/>"})
_SIZES = ((40, 30), (1, 1), (17, 9), (64, 64), (7, 50))


def corrupted(rng: random.Random) -> bytes:
    """One WebP with one thing wrong, or with none that matters; the container tells its length again."""
    mode = rng.choice(("RGB", "RGBA"))
    data = _webp(mode, rng.choice(_SIZES), rng.randrange(len(WAYS)), rng.randrange(len(_MORE)))
    match rng.randrange(4):
        case 0:
            return rng.choice(CHANGES)(rng, data)
        case 1:
            return _contained(b"".join(out_of_order(rng, _chunks(data))))
        case _:
            chunks = _chunks(data)
            at = rng.randrange(len(chunks))
            body = rng.choice(CHANGES)(rng, chunks[at][8:])
            chunks[at] = chunks[at][:4] + len(body).to_bytes(4, "little") + body + bytes(len(body) % 2)
            return _contained(b"".join(chunks))


@cache
def _webp(mode: str, size: tuple[int, int], way: int, more: int) -> bytes:
    rng = random.Random(f"{mode}{size}{way}")
    image = Image.frombytes(mode, (4, 4), rng.randbytes(16 * len(mode))).resize(size)
    return encoded(image, "WEBP", **WAYS[way], **_MORE[more])


def _contained(body: bytes) -> bytes:
    return b"RIFF" + (len(body) + 4).to_bytes(4, "little") + b"WEBP" + body


def _chunks(data: bytes) -> list[bytes]:
    chunks, start = [], 12
    while start < len(data):
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")
        chunks.append(data[start : end + end % 2])
        start = end + end % 2
    return chunks
