"""Files made good: what is around a picture's pixels never makes it a broken one (P19).

Pure functions for a worker process. The pixels decide, and they are never touched; what tells their colours
and which way up they are stays. Left out is what stands behind the picture's end, such as a second picture
or a video, and metadata that is too long or cannot be read; a sound file stays byte for byte. Of what is
paid for, a missing end is added too, and the still picture of an animated PNG is taken. What comes of it must
pass the rule that every picture meets (``inspection``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from imageedit_server.core.errors import Reason
from imageedit_server.images.decoding import opened
from imageedit_server.images.effort import too_much
from imageedit_server.images.inspection import (
    Inspection,
    InspectionFailed,
    bytes_of,
    inspect_data,
    undecodable,
)
from imageedit_server.images.naming import HEAD_BYTES, advised, named
from imageedit_server.images.structure import (
    JPEG_END,
    JPEG_SCAN,
    Data,
    end_of,
    first_parts,
    format_of,
    is_animated,
    with_png_end,
)
from imageedit_server.images.trimming import bare, trimmed

_PADDING = bytes(range(1, 255)) * 4
"""Bytes that are no marker and, where pixels are missing, make others than zeros do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mended:
    """What is known of a picture, and the file that was made of it; ``content`` is empty for a sound one."""

    inspection: Inspection
    content: bytes = b""


def make_good(picture: Path | Data, *, max_pixels: int, paid: bool = False) -> Mended:
    """Return what a picture is, and where there is more in the file, or less, what was made of it.

    Raises as ``inspect`` does, with what is wrong with the file as it came. What is not taken is named for
    what it is and, unless it is ``paid`` for, with what to do.
    """
    with bytes_of(picture) as data:
        name = format_of(data)
        if name is None:
            head = data[:HEAD_BYTES]
            raise undecodable(f"is {named(head)}, not a PNG, JPEG or WebP picture" if paid else advised(head))
        if not paid and (effort := too_much(name, data)):
            raise undecodable(effort)
        if is_animated(name, data) and not (paid and name == "PNG"):
            raise undecodable(_animated(name, paid=paid))
        return _mended(name, data, max_pixels, paid=paid)


def _animated(name: str, *, paid: bool) -> str:
    shown = "WebP" if name == "WEBP" else name
    return f"is an animated {shown} picture, which is not taken{'' if paid else '; send one frame of it'}"


def _mended(name: str, data: Data, max_pixels: int, *, paid: bool) -> Mended:
    is_cut = end_of(name, data) is None
    failed: Exception = undecodable("is cut short")
    for content in _candidates(name, data, is_cut=is_cut, paid=paid):
        try:
            found = inspect_data(content, max_pixels=max_pixels)
        except (InspectionFailed, MemoryError) as error:
            if isinstance(error, InspectionFailed) and error.reason is Reason.IMAGE_TOO_LARGE:
                raise
            failed = failed if is_cut else _alone(error)
            continue
        if is_cut and name == "JPEG" and not _is_complete(content):
            break
        return Mended(inspection=found, content=b"" if content is data else bytes(content))
    raise failed


def _alone(error: Exception) -> Exception:
    """Return an error that keeps nothing of the try in memory, which the next one needs."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _candidates(name: str, data: Data, *, is_cut: bool, paid: bool) -> Iterator[Data]:
    """Yield what may be a sound picture, with more and more left out."""
    if not is_cut:
        yield from _variants(name, data)
    elif paid:
        yield from _ended(name, data)


def _variants(name: str, data: Data) -> Iterator[Data]:
    """Yield the picture and no more of the file; then, unless that is the same, its looks alone."""
    content = trimmed(name, data)
    yield content
    looks = bare(name, content)
    if looks is not content:
        yield looks


def _ended(name: str, data: Data) -> Iterator[Data]:
    """Yield the variants of a picture that lacks its end, with one."""
    kinds = {part.kind for part in first_parts(name, data) or ()}
    if name == "PNG" and b"IDAT" in kinds:
        yield from _variants(name, with_png_end(data))
    elif name == "JPEG" and JPEG_SCAN in kinds:
        yield from _variants(name, data[:] + JPEG_END)


def _is_complete(content: Data) -> bool:
    """Whether no pixel is missing of a JPEG whose end was added.

    The decoder makes up what is missing and does not say so; but where nothing is, it does not matter what
    stands behind the pixels.
    """
    try:
        return _checksum(content) == _checksum(content[: -len(JPEG_END)] + _PADDING + JPEG_END)
    except (MemoryError, ImportError):
        raise
    except Exception:  # noqa: BLE001  what else Pillow says of the padding says that it was read
        return False


def _checksum(content: Data) -> int:
    """Return that of the pixels; two pictures at once would be too much memory."""
    with opened(content, "JPEG") as image:
        return crc32(image.tobytes())
