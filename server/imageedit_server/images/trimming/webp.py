"""WebPs with less around the same pixels, in a container that says how long it is."""

from collections.abc import Sequence, Set

from imageedit_server.images.orientation import UPRIGHT, exif_with, is_exif, orientation_in
from imageedit_server.images.structure import WEBP_HEADER_BYTES, Data, Part
from imageedit_server.images.trimming.limits import short

_LOOKS = (b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF")
_FLAGS = {b"EXIF": 0x08, b"XMP ": 0x04}
_FLAGS_AT = 8


def trimmed(data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the chunks without EXIF and XMP that are too long or unreadable."""
    metadata = [part for part in parts if part.kind in _FLAGS]
    readable = [part for part in metadata if part.kind != b"EXIF" or is_exif(data[part.start + 8 : part.end])]
    left_out = set(metadata).difference(short(data, readable, lambda _, part: part.end - part.start))
    return [part for part in parts if part not in left_out]


def bare(_data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the chunks of the looks."""
    return [part for part in parts if part.kind in _LOOKS]


def rewritten(data: Data, parts: Sequence[Part], kept: Sequence[Part]) -> Data:
    """Return a file of the chunks that are ``kept``, as upright as ``parts`` tell; or ``data``."""
    if len(kept) == len(parts) and _is_tidy(data, parts):
        return data
    orientation = _orientation(data, parts)
    exif = b"" if orientation == _orientation(data, kept) else exif_with(orientation)
    gone = {part.kind for part in parts}.difference(part.kind for part in kept)
    pieces = [_told(data[part.start : part.end], gone - {b"EXIF"} if exif else gone) for part in kept]
    if exif:
        pieces.append(b"EXIF" + len(exif).to_bytes(4, "little") + exif)
    body = b"WEBP" + b"".join(piece + bytes(len(piece) % 2) for piece in pieces)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


def _orientation(data: Data, parts: Sequence[Part]) -> int:
    """Return what EXIF says, where the header tells of it: readers do not look at any other."""
    header = next((data[part.start : part.end] for part in parts if part.kind == b"VP8X"), b"")
    exif = next((data[part.start + 8 : part.end] for part in parts if part.kind == b"EXIF"), b"")
    is_told = bool(header[_FLAGS_AT : _FLAGS_AT + 1]) and header[_FLAGS_AT] & _FLAGS[b"EXIF"]
    return orientation_in(exif) if is_told else UPRIGHT


def _is_tidy(data: Data, parts: Sequence[Part]) -> bool:
    """Whether the chunks follow each other to the end, and the container knows where that is."""
    ends = [WEBP_HEADER_BYTES, *(part.end + (part.end - part.start) % 2 for part in parts)]
    starts = [*(part.start for part in parts), len(data)]
    return starts == ends and 8 + int.from_bytes(data[4:8], "little") == len(data)


def _told(chunk: bytes, gone: Set[bytes]) -> bytes:
    """Return a chunk in which the header does not tell of EXIF or XMP that is ``gone``."""
    if not chunk.startswith(b"VP8X") or len(chunk) <= _FLAGS_AT:
        return chunk
    flags = chunk[_FLAGS_AT]
    for kind in gone & _FLAGS.keys():
        flags &= ~_FLAGS[kind]
    return chunk[:_FLAGS_AT] + bytes([flags]) + chunk[_FLAGS_AT + 1 :]
