"""What files of pictures are made of: each format's parts, and where a picture ends.

Pure functions over files that may be anything: what follows a broken structure is not there. Pillow asks
less of a file here, and more there, than those who show it.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile
from mmap import mmap
from struct import Struct
from typing import NamedTuple
from zlib import crc32

Data = bytes | mmap

MAX_PARTS = 100_000
"""No writer makes more, in pieces of 1 KiB up to the largest result; to look into each takes its time."""

SIGNATURES = {
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "WEBP": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
PNG_SIGNATURE_BYTES = 8
WEBP_HEADER_BYTES = 12

_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")  # FF 00 is data, FF D0 to D7 stand inside it
_JPEG_WITHOUT_LENGTH = (b"\x01", b"\xd8", b"\xd9")
JPEG_SCAN, JPEG_EOI = b"\xda", b"\xd9"
JPEG_END = b"\xff" + JPEG_EOI
_ACTL_BYTES = 8
_PNG_CHUNK = Struct(">I4s")
_PNG_END = b"\0\0\0\0IEND" + crc32(b"IEND").to_bytes(4)

WEBP_PIXELS = (b"VP8 ", b"VP8L", b"ANMF")
WEBP_KINDS = (*WEBP_PIXELS, b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"EXIF", b"XMP ")
_RIFF_MOST = 0xFFFFFFF6
"""More than that, as 0, stands for a size that the writer did not know."""
_RIFF_MISTAKE_BYTES = 8
"""By how much writers mistake the size of a file: a byte of padding, or the header that does not count."""


class Part(NamedTuple):
    """A piece of a file: ``kind`` is a PNG's or WebP's four letters, a JPEG's marker without its FF."""

    kind: bytes
    start: int
    end: int


def format_of(data: Data) -> str | None:
    """Return what a file begins as, PNG, JPEG or WEBP; None for anything else."""
    return next((name for name, signature in SIGNATURES.items() if signature.match(data)), None)


def end_of(name: str, data: Data) -> int | None:
    """Return where the picture ends by its format's own structure, None when that is beyond the file."""
    if name == "WEBP":
        parts = webp_parts(data)
        return parts[-1].end if parts else None
    last = deque((png_parts if name == "PNG" else jpeg_parts)(data), maxlen=1)
    is_end = bool(last) and last[0].kind in (b"IEND", JPEG_EOI) and last[0].end <= len(data)
    return last[0].end if is_end else None


def is_animated(name: str, data: Data) -> bool:
    """Whether a file says that it has more than one frame, as those say it who show them."""
    match name:
        case "PNG":
            header = takewhile(lambda part: part.kind != b"IDAT", png_parts(data))
            body = next((data[part.start + 8 : part.end - 4] for part in header if part.kind == b"acTL"), b"")
            return len(body) >= _ACTL_BYTES and int.from_bytes(body[:4]) > 1
        case "WEBP":
            return sum(part.kind == b"ANMF" for part in webp_parts(data)) > 1
        case _:
            return False


def with_png_end(data: Data) -> bytes:
    """Return the whole chunks of a PNG that lacks its end, with one."""
    end = max((part.end for part in png_parts(data)), default=PNG_SIGNATURE_BYTES)
    return data[:end] + _PNG_END


def first_parts(name: str, data: Data) -> list[Part] | None:
    """Return the parts of a picture, of a JPEG those before its pixels; None for more than ``MAX_PARTS``."""
    match name:
        case "PNG":
            parts = png_parts(data)
        case "JPEG":
            parts = jpeg_header(data)
        case _:
            parts = iter(webp_parts(data))
    found = list(islice(parts, MAX_PARTS + 1))
    return found if len(found) <= MAX_PARTS else None


def png_header(data: Data) -> tuple[int, int]:
    """Return the bits of a PNG's samples, and its color type, as its header has them."""
    return data[24], data[25]


def png_parts(data: Data, start: int = PNG_SIGNATURE_BYTES) -> Iterator[Part]:
    """Yield every whole chunk from ``start`` to IEND: a length, four letters, the data and a checksum."""
    last = len(data) - 12
    while start <= last:
        length, kind = _PNG_CHUNK.unpack_from(data, start)
        part = Part(kind, start, start + 12 + length)
        if part.end > len(data):
            return
        yield part
        if kind == b"IEND":
            return
        start = part.end


def jpeg_parts(data: Data) -> Iterator[Part]:
    """Yield every segment up to EOI; what is between two of them is pixels, or is read over.

    By their lengths, so that a thumbnail's EOI is not taken for the picture's. The last may not be whole.
    """
    position = 2
    while found := _JPEG_MARKER.search(data, position):
        start, position = found.start(), found.end()
        if found[1] not in _JPEG_WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2])
        yield Part(found[1], start, position)
        if found[1] == JPEG_EOI:
            return


def jpeg_header(data: Data) -> Iterator[Part]:
    """Yield the segments up to the first scan's, which is the last."""
    for part in jpeg_parts(data):
        yield part
        if part.kind == JPEG_SCAN:
            return


def webp_parts(data: Data) -> list[Part]:
    """Return every chunk, without padding, to the container's end; none when that is beyond the file.

    The container's size decides, unless it is none or cannot be: some writers never fill it in, others
    count a byte of padding or their own header wrong. Then the chunks tell how far it goes.
    """
    said = int.from_bytes(data[4:8], "little")
    is_unknown = not 0 < said <= _RIFF_MOST
    is_cut = not is_unknown and 8 + said > len(data)
    if is_cut and 8 + said > len(data) + _RIFF_MISTAKE_BYTES:
        return []
    parts = list(islice(_webp_parts(data, 8 + said), MAX_PARTS + 1))
    if is_unknown or not _has_pixels(parts):
        known = takewhile(lambda part: part.kind in WEBP_KINDS, _webp_parts(data, len(data)))
        parts = list(islice(known, MAX_PARTS + 1))
    if not parts or parts[-1].end <= len(data):
        return parts
    return [] if is_cut or parts[-1].kind in WEBP_PIXELS else parts[:-1]


def _webp_parts(data: Data, end: int) -> Iterator[Part]:
    """Yield what begins before ``end``; the last may not be whole."""
    start = WEBP_HEADER_BYTES
    while start + 8 <= min(end, len(data)):
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        part = Part(data[start : start + 4], start, start + 8 + length)
        yield part
        start = _after(part, data)


def _has_pixels(parts: Sequence[Part]) -> bool:
    return any(part.kind in WEBP_PIXELS for part in parts)


def _after(part: Part, data: Data) -> int:
    """Return where the next chunk begins: at an even place, unless the writer forgot to pad."""
    padded = part.end + (part.end - part.start) % 2
    forgot = data[part.end : part.end + 4] in WEBP_KINDS and data[padded : padded + 4] not in WEBP_KINDS
    return part.end if forgot else padded
