"""Pictures encoded as their sources were: turned, they are neither larger nor worse than they need be."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image

from imageedit_server.pictures.reading import Source

Options = Mapping[str, Any]

JPEG_BEST: Options = {"quality": 95, "subsampling": 0}
WEBP_BEST: Options = {"quality": 95, "method": 2}

_COARSER = (1, 1.3, 1.7, 2.2, 3, 4)
"""What the source's quantisation is multiplied by, step by step."""
_JPEG: Sequence[Options] = (JPEG_BEST, *({"quality": quality} for quality in (90, 85, 80, 70, 60, 50)))
_WEBP: Sequence[Options] = [{**WEBP_BEST, "quality": quality} for quality in (95, 90, 85, 80, 75, 65, 50, 35)]
_NO_LARGER, _FEW_BYTES = 1.1, 1024
_BYTES_OF_A_PIXEL = 1
"""Below this a JPEG's codes can be optimised: Pillow's buffer is too small for what is hardly compressed."""


def encoded(
    image: Image.Image, form: str, source: Source, *, profile: bytes, max_bytes: int
) -> tuple[bytes, bool]:
    """Return ``image``, which was made of ``source``, in a format; and whether quality fell for its size.

    A lossy WebP does not say of which quality it is: that is found by its size.
    """
    steps = _steps(form, source)
    encode = cache(lambda step: saved(image, form, profile=profile, **steps[step]))
    most = _no_larger(source, max_bytes) if form == source.form == "WEBP" else max_bytes

    def fits(step: int) -> bool:
        return len(encode(step)) <= most

    is_found_at_once = most == max_bytes and fits(0)
    best = 0 if is_found_at_once else bisect_left(range(len(steps) - 1), True, key=fits)
    return encode(best), best > 0 and len(encode(best - 1)) > max_bytes


def saved(image: Image.Image, form: str, *, profile: bytes = b"", **options: Any) -> bytes:
    """Return the bytes, with this profile or none; other metadata stays behind."""
    out = BytesIO()
    image.save(out, form, icc_profile=profile or None, **options)
    return out.getvalue()


def _steps(form: str, source: Source) -> Sequence[Options]:
    """Return how to encode, the best first."""
    if form == "PNG":
        return [{}]
    if form == "WEBP":
        return [{"lossless": True}, *_WEBP] if source.lossless else _WEBP
    return [_coarser(source, factor) for factor in _COARSER] if source.jpeg else _JPEG


def _no_larger(source: Source, max_bytes: int) -> int:
    if source.lossless:
        return max_bytes
    return min(max_bytes, round(source.size_bytes * _NO_LARGER) + _FEW_BYTES)


def _coarser(source: Source, factor: float) -> Options:
    tables = [[min(255, round(value * factor)) for value in table] for table in source.jpeg["qtables"]]
    few = source.size_bytes < _BYTES_OF_A_PIXEL * source.image.width * source.image.height
    return {
        **source.jpeg,
        "qtables": tables,
        "optimize": few,
        "progressive": few and source.jpeg["progressive"],
    }
