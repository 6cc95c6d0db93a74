"""What a picture costs to decode, judged by its structure before a decoder sees it (P18, F80).

A small file can be long work: each scan of a JPEG goes over all its pixels for some fifty bytes, and each
marker or chunk is looked at by itself for two to twelve. No encoder writes nearly as many. Of a result that
is paid for nothing of this is asked: the worker's limits alone decide.
"""

import re

from imageedit_server.images.structure import (
    JPEG_SCAN,
    MAX_PARTS,
    Data,
    Part,
    jpeg_parts,
    png_parts,
    webp_parts,
)

MOST_SCANS = 200
"""Encoders write three to twenty."""
ALWAYS_SCANS = 20
"""Taken of a picture of any size that is taken."""
MOST_SCANNED_PIXELS = 1_500_000_000
"""Thirty scans of the largest picture; measured, one goes over a million pixels in a millisecond or two."""

_FRAMES = {bytes([marker]) for marker in range(0xC0, 0xD0)} - {b"\xc4", b"\xc8", b"\xcc"}
_WEBP_FRAME = b"ANMF"
_TABLES, _RESOURCES = b"\xdb", b"\xed"
_TABLE_BYTES = 65
_RESOURCE = re.compile(rb"8BIM")


def too_much(name: str, data: Data) -> str:
    """Return what of a picture is too much work, to complete the sentence "<field> …"; else nothing."""
    if name == "JPEG":
        return _too_much_jpeg(data)
    parts = png_parts(data) if name == "PNG" else webp_parts(data)
    counted = (part for part in parts if part.kind != _WEBP_FRAME)  # those are refused for what they are
    return _too_many("chunks") if any(number >= MAX_PARTS for number, _ in enumerate(counted)) else ""


def _too_much_jpeg(data: Data) -> str:
    pixels = scans = steps = 0
    end = 2
    for part in jpeg_parts(data):
        if part.kind in _FRAMES:
            pixels = max(pixels, _pixels(data, part))
        if not scans:  # what is between segments, there are readers that go over it byte by byte
            steps += part.start - end
        scans += part.kind == JPEG_SCAN
        steps += _steps(data, part)
        end = part.end
        if steps > MAX_PARTS:
            return _too_many("segments")
    most = min(MOST_SCANS, max(ALWAYS_SCANS, MOST_SCANNED_PIXELS // max(pixels, 1)))
    return f"has {scans} scans; at most {most} are allowed for its {pixels} pixels" if scans > most else ""


def _steps(data: Data, part: Part) -> int:
    """Return how many pieces a reader makes of a segment."""
    if part.kind == _TABLES:
        return 1 + (part.end - part.start) // _TABLE_BYTES
    if part.kind == _RESOURCES:
        return 1 + len(_RESOURCE.findall(data, part.start, part.end))
    return 1


def _pixels(data: Data, frame: Part) -> int:
    height, width = (int.from_bytes(data[frame.start + at : frame.start + at + 2]) for at in (5, 7))
    return width * height


def _too_many(pieces: str) -> str:
    return f"has more than {MAX_PARTS} {pieces}, the most that is allowed"
