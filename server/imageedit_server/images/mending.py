"""Results made good: what is wrong with a file around its pixels must not cost a picture that is paid for.

Pure functions for a worker process. The pixels decide, and they are never touched: bytes after the picture's
end are cut, a missing end is added, further pictures and metadata that cannot be read are left out; what
tells the colours stays. What comes of it must pass the rule that every picture meets (``inspection``), so
nothing gets through that is cut short or too large. For results alone: what callers bring is taken as it is
or refused (P18, P19).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zlib import crc32

from PIL import Image

from imageedit_server.core.errors import Reason
from imageedit_server.images.inspection import (
    Data,
    Inspection,
    InspectionFailed,
    bytes_of,
    end_of,
    format_of,
    inspect_data,
    undecodable,
)
from imageedit_server.images.naming import HEAD_BYTES, named
from imageedit_server.images.stripping import (
    JPEG_END,
    jpeg_variants,
    png_variants,
    webp_chunks,
    webp_variants,
)

_PADDING = bytes(range(1, 255)) * 4
"""Bytes that are no marker and, where pixels are missing, make others than zeros do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """What is known of a picture, and the file that was made of it; ``content`` is empty for a sound one."""

    inspection: Inspection
    content: bytes = b""


def make_good(picture: Path | bytes, *, max_pixels: int) -> Mended:
    """Return what a result is, and where it is not one sound picture and no more, what was made of it.

    Raises as ``inspect`` does, with what is wrong with the file as it came; what is no PNG, JPEG or WebP is
    named for what it is.
    """
    with bytes_of(picture) as data:
        name = format_of(data)
        if name is None:
            raise undecodable(f"is {named(data[:HEAD_BYTES])}, not a PNG, JPEG or WebP picture")
        try:
            found = inspect_data(data, max_pixels=max_pixels)
        except InspectionFailed as failed:
            return _mended(name, data, max_pixels, failed)
        end = end_of(name, data)
        return Mended(inspection=found, content=data[:end] if end != len(data) else b"")


def _mended(name: str, data: Data, max_pixels: int, failed: InspectionFailed) -> Mended:
    if failed.reason is Reason.IMAGE_TOO_LARGE:
        raise failed
    for content in _variants(name, data):
        try:
            found = inspect_data(content, max_pixels=max_pixels)
        except InspectionFailed:
            continue
        if not _is_complete(content, data):
            break
        return Mended(inspection=found, content=content)
    raise (
        undecodable("is an animated WebP picture, which is not taken") if _is_animated(name, data) else failed
    )


def _is_animated(name: str, data: Data) -> bool:
    return name == "WEBP" and any(kind == b"ANIM" for kind, _ in webp_chunks(data))


def _variants(name: str, data: Data) -> Iterator[bytes]:
    end = end_of(name, data)
    match name:
        case "PNG":
            yield from png_variants(data)
        case "WEBP" if end is not None:
            yield from webp_variants(data)
        case "JPEG" if end is not None:
            yield from jpeg_variants(data[:end])
        case "JPEG":
            yield from jpeg_variants(data[:] + JPEG_END)


def _is_complete(content: bytes, data: Data) -> bool:
    """Whether no pixel is missing of a JPEG whose end was added.

    The decoder makes up what is missing and does not say so; but where nothing is, it does not matter what
    stands behind the pixels.
    """
    if format_of(data) != "JPEG" or end_of("JPEG", data) is not None:
        return True
    try:
        return _checksum(content) == _checksum(content.removesuffix(JPEG_END) + _PADDING + JPEG_END)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  what else Pillow says of the padding says that it was read
        return False


def _checksum(content: bytes) -> int:
    """Return that of the pixels; two pictures at once would be too much memory."""
    with Image.open(BytesIO(content), formats=["JPEG"]) as image:
        return crc32(image.tobytes())
