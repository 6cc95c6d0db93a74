"""Files with less around the same pixels: each format's parts, and which of them are left out.

Pure functions for a worker process over files that may be anything: what follows a broken structure is not
there. A variant is a whole file; each leaves out more than the one before it.
"""

import zlib
from collections.abc import Callable, Collection, Iterator
from itertools import islice

from imageedit_server.images.inspection import Data

MAX_PARTS = 20_000
"""No writer makes more, in pieces of 4 KiB up to the largest result; to look into each takes its time."""

_PNG_SIGNATURE_BYTES = 8
_PNG_END = b"\0\0\0\0IEND" + zlib.crc32(b"IEND").to_bytes(4)
_PNG_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_PNG_LOOKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"pHYs")
"""What the pixels and their colours are made of, but for a profile."""

JPEG_END = b"\xff\xd9"
_JPEG_START, _JPEG_SCAN, _JPEG_FILL = b"\xff\xd8", 0xDA, 0xFF
_JPEG_APPS, _JPEG_COMMENT = range(0xE0, 0xF0), 0xFE
_JPEG_LOOKS = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}

_WEBP_LOOKS = (b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF")
_WEBP_FLAGS_AT, _WEBP_METADATA_FLAGS = 8, 0x0C


def png_variants(data: Data) -> Iterator[bytes]:
    """Cut; without texts and animation; without EXIF; with nothing but the looks; without a profile."""
    chunks = list(islice(_png_chunks(data), MAX_PARTS))
    if len(chunks) == MAX_PARTS:
        return
    unread = (*_PNG_TEXTS, *_PNG_ANIMATION)
    keeps: list[Callable[[bytes], bool]] = [
        lambda kind: True,
        lambda kind: kind not in unread,
        lambda kind: kind not in (*unread, b"eXIf"),
        lambda kind: kind in (*_PNG_LOOKS, b"iCCP"),
        lambda kind: kind in _PNG_LOOKS,
    ]
    for keep in keeps:
        kept = [chunk for kind, chunk in chunks if keep(kind)]
        yield b"".join((data[:_PNG_SIGNATURE_BYTES], *kept, _PNG_END))


def _png_chunks(data: Data) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the bytes of every whole chunk before IEND."""
    start = _PNG_SIGNATURE_BYTES
    while start + 12 <= len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        kind = data[start + 4 : start + 8]
        if kind == b"IEND" or end > len(data):
            return
        yield kind, data[start:end]
        start = end


def jpeg_variants(data: Data) -> Iterator[bytes]:
    """As it is; without further pictures; without EXIF too; with nothing but the looks."""
    segments, scans = _jpeg_segments(data)
    if len(segments) == MAX_PARTS:
        return
    is_left_out: list[Callable[[int, bytes], bool]] = [
        lambda marker, body: False,
        _is_index,
        lambda marker, body: _is_index(marker, body) or body.startswith(b"Exif\0"),
        lambda marker, body: not _is_look(marker, body),
    ]
    for left_out in is_left_out:
        kept = [segment for marker, segment in segments if not left_out(marker, segment[4:])]
        yield b"".join((_JPEG_START, *kept, scans))


def _jpeg_segments(data: Data) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the segments before the pixels, each with its marker, and all from the first scan on."""
    segments, start = [], len(_JPEG_START)
    while data[start : start + 1] == b"\xff" and start + 4 <= len(data) and data[start + 1] != _JPEG_SCAN:
        is_fill = data[start + 1] == _JPEG_FILL
        end = start + (1 if is_fill else 2 + int.from_bytes(data[start + 2 : start + 4]))
        segments.append((data[start + 1], data[start:end]))
        start = end
        if len(segments) == MAX_PARTS:
            break
    return segments, data[start:]


def _is_index(marker: int, body: bytes) -> bool:
    """Whether it is the index of further pictures in the file, which are cut off (MPF)."""
    return marker == 0xE2 and body.startswith(b"MPF\0")


def _is_look(marker: int, body: bytes) -> bool:
    if marker in _JPEG_APPS or marker == _JPEG_COMMENT:
        return marker in _JPEG_LOOKS and body.startswith(_JPEG_LOOKS[marker])
    return True


def webp_variants(data: Data) -> Iterator[bytes]:
    """Cut; without EXIF and XMP; with nothing but the looks."""
    chunks = list(islice(webp_chunks(data), MAX_PARTS))
    if len(chunks) == MAX_PARTS:
        return
    yield _webp(chunks)
    yield _webp(_without_flags(chunks, (b"EXIF", b"XMP ")))
    yield _webp([(kind, chunk) for kind, chunk in _without_flags(chunks, ()) if kind in _WEBP_LOOKS])


def webp_chunks(data: Data) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and the bytes of every chunk, in the order of the file."""
    start, end = 12, min(8 + int.from_bytes(data[4:8], "little"), len(data))
    while start + 8 <= end:
        length = int.from_bytes(data[start + 4 : start + 8], "little")
        after = start + 8 + length + length % 2
        yield data[start : start + 4], data[start:after]
        start = after


def _without_flags(
    chunks: Collection[tuple[bytes, bytes]], kinds: Collection[bytes]
) -> list[tuple[bytes, bytes]]:
    """Leave out ``kinds``, and the header's word that there is EXIF or XMP."""

    def told(kind: bytes, chunk: bytes) -> bytes:
        if kind != b"VP8X" or len(chunk) <= _WEBP_FLAGS_AT:
            return chunk
        flags = chunk[_WEBP_FLAGS_AT] & ~_WEBP_METADATA_FLAGS
        return chunk[:_WEBP_FLAGS_AT] + bytes([flags]) + chunk[_WEBP_FLAGS_AT + 1 :]

    return [(kind, told(kind, chunk)) for kind, chunk in chunks if kind not in kinds]


def _webp(chunks: Collection[tuple[bytes, bytes]]) -> bytes:
    body = b"WEBP" + b"".join(chunk for _, chunk in chunks)
    return b"RIFF" + len(body).to_bytes(4, "little") + body
