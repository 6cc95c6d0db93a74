"""JPEGs with less around the same pixels."""

from collections.abc import Sequence

from imageedit_server.images.orientation import exif_with, is_exif, orientation_in
from imageedit_server.images.structure import Data, Part, end_of
from imageedit_server.images.trimming.limits import MIB

_METADATA = (b"\xfe", *(bytes([marker]) for marker in range(0xE0, 0xF0)))
"""Comments and application segments."""
_LOOKS = {b"\xe0": (b"JFIF\0", 14), b"\xe2": (b"ICC_PROFILE\0", 14), b"\xee": (b"Adobe", 12)}
_MOST_EXIF = 16
"""In how many segments EXIF may go on: a megabyte. Pillow joins them one by one."""
_EXIF, _INDEX = (b"\xe1", b"Exif\0"), (b"\xe2", b"MPF\0")


def trimmed(data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the segments without the index of further pictures, and EXIF that is too long or unreadable."""
    exif = [part for part in parts if _is(data, part, _EXIF)]
    is_readable = bool(exif) and is_exif(data[exif[0].start + 4 : exif[0].end])  # the others go on with it
    left_out = set(exif).difference(exif[:_MOST_EXIF] if is_readable else ())
    return [part for part in parts if part not in left_out and not _is(data, part, _INDEX)]


def bare(data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the segments without comments and metadata but JFIF, Adobe's and a profile that is whole."""
    looks = [part for part in parts if part.kind not in _METADATA or _is_look(data, part)]
    profile = [part for part in looks if part.kind == b"\xe2"]
    numbers = sorted((data[part.start + 16], data[part.start + 17]) for part in profile)
    if numbers == [(number + 1, len(profile)) for number in range(len(profile))]:
        return looks
    return [part for part in looks if part.kind != b"\xe2"]


def rewritten(data: Data, parts: Sequence[Part], kept: Sequence[Part]) -> Data:
    """Return a file of the segments that are ``kept``, as upright as ``parts`` tell; or ``data``."""
    if len(kept) == len(parts):
        end = end_of("JPEG", data)
        return data if end == len(data) else data[:end]
    pieces = [data[part.start : part.end] for part in kept[:-1]]
    orientation = _orientation(data, parts)
    if orientation != _orientation(data, kept):
        exif = b"Exif\0\0" + exif_with(orientation)
        pieces.insert(kept[0].kind == b"\xe0", b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif)
    return b"".join((data[:2], *pieces, data[kept[-1].start : end_of("JPEG", data)]))


def _orientation(data: Data, parts: Sequence[Part]) -> int:
    exif = (data[part.start + 4 : part.end] for part in parts if _is(data, part, _EXIF))
    return orientation_in(next(exif, b""))


def _is(data: Data, part: Part, wanted: tuple[bytes, bytes]) -> bool:
    kind, start = wanted
    return part.kind == kind and data[part.start + 4 : part.start + 4 + len(start)] == start


def _is_look(data: Data, part: Part) -> bool:
    start, least = _LOOKS.get(part.kind, (b"", MIB))
    return part.end - part.start - 4 >= least and _is(data, part, (part.kind, start))
