"""PNGs with less around the same pixels."""

import zlib
from collections.abc import Sequence
from functools import partial

from imageedit_server.images.orientation import (
    EXIF_IN_TEXT,
    UPRIGHT,
    exif_with,
    is_exif,
    orientation_in,
    unhexed,
)
from imageedit_server.images.structure import PNG_SIGNATURE_BYTES, Data, Part
from imageedit_server.images.trimming.limits import MAX_PROFILE_BYTES, MAX_TEXT_BYTES, short

_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_ONCE = (b"iCCP", b"eXIf")
"""Of these the first counts everywhere but in Pillow."""
_EXIF_KEYWORD = EXIF_IN_TEXT.encode() + b"\0"
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_LOOKS = {b"tRNS": 1, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"sBIT": 1, b"pHYs": 9, b"iCCP": 4}
"""What the pixels and their colours are made of beside the critical chunks, and how long it is at least."""
_KEY_BYTES = {0: 2, 2: 6}
"""How long tRNS is where it is one colour, by IHDR's colour type."""


def trimmed(data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the chunks without animation, and without texts and EXIF that are too long or unreadable."""
    metadata = [part for part in parts if part.kind in _TEXTS or part.kind == b"eXIf"]
    left_out = set(metadata).difference(short(data, filter(partial(_is_readable, data), metadata), _length))
    first = {part.kind: part for part in reversed(parts) if part.kind in _ONCE}
    return [
        part
        for part in parts
        if part.kind not in _ANIMATION and part not in left_out and first.get(part.kind, part) == part
    ]


def bare(data: Data, parts: Sequence[Part]) -> list[Part]:
    """Return the critical chunks, and the others of the looks that are whole."""
    color_type = int.from_bytes(data[parts[0].start + 17 : parts[0].start + 18])
    least = _LOOKS | {b"tRNS": _KEY_BYTES.get(color_type, 1)}
    return [part for part in parts if part.kind[:1].isupper() or _is_look(data, part, least)]


def rewritten(data: Data, parts: Sequence[Part], kept: Sequence[Part]) -> Data:
    """Return a file of the chunks that are ``kept``, as upright as ``parts`` tell; or ``data``."""
    if len(kept) == len(parts) and kept[-1].end == len(data):
        return data
    pieces = [data[:PNG_SIGNATURE_BYTES], *(data[part.start : part.end] for part in kept)]
    orientation = _orientation(data, parts)
    if orientation != _orientation(data, kept):
        pieces.insert(2, _chunk(b"eXIf", exif_with(orientation)))
    return b"".join(pieces)


def _orientation(data: Data, parts: Sequence[Part]) -> int:
    for part in parts:
        if part.kind == b"eXIf":
            return orientation_in(_body(data, part))
    for part in parts:
        if part.kind in _TEXTS and _starts(data, part, _EXIF_KEYWORD):
            return orientation_in(unhexed(_text(data, part)[:MAX_TEXT_BYTES].decode("latin-1")))
    return UPRIGHT


def _is_readable(data: Data, part: Part) -> bool:
    return part.kind != b"eXIf" or is_exif(_body(data, part))


def _length(data: Data, part: Part) -> int:
    length = part.end - part.start - 12
    return length if length > MAX_TEXT_BYTES else max(length, len(_text(data, part)))


def _is_look(data: Data, part: Part, least: dict[bytes, int]) -> bool:
    """Whether a chunk that may be left out is of the looks, and whole."""
    if part.kind not in least or part.end - part.start - 12 < least[part.kind]:
        return False
    if zlib.crc32(data[part.start + 4 : part.end - 4]) != int.from_bytes(data[part.end - 4 : part.end]):
        return False
    return part.kind != b"iCCP" or _is_profile(_body(data, part))


def _is_profile(body: bytes) -> bool:
    _, separator, deflated = body.partition(b"\0")
    return (
        bool(separator)
        and deflated[:1] == b"\0"
        and (0 < len(_inflated(deflated[1:], MAX_PROFILE_BYTES + 1)) <= MAX_PROFILE_BYTES)
    )


def _text(data: Data, part: Part) -> bytes:
    """Return a text without its keyword; of one that was deflated no more than is too much."""
    rest = b"" if part.kind == b"eXIf" else _body(data, part).partition(b"\0")[2]
    if part.kind == b"zTXt":
        return _inflated(rest[1:], MAX_TEXT_BYTES + 1)
    if part.kind == b"iTXt":
        text = rest[2:].split(b"\0", 2)[-1]
        return text if rest[:1] == b"\0" else _inflated(text, MAX_TEXT_BYTES + 1)
    return rest


def _inflated(data: bytes, most: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, most)
    except zlib.error:
        return b""


def _starts(data: Data, part: Part, start: bytes) -> bool:
    return data[part.start + 8 : part.start + 8 + len(start)] == start


def _body(data: Data, part: Part) -> bytes:
    return data[part.start + 8 : part.end - 4]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)
