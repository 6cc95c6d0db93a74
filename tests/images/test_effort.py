"""A small picture that is long work is refused for what makes it so, before a decoder sees it (P18, F80)."""

import gc
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from imageedit_server.core.errors import Reason
from imageedit_server.images.inspection import InspectionFailed
from imageedit_server.images.mending import make_good
from imageedit_server.images.structure import MAX_PARTS
from tests.images.pictures import MIB, encoded, progressive, zeros
from tests.images.pictures import png as picture

MAX_PIXELS = 50_000_000
MOST_TIMES = 5
"""How much more work a refusal may be than an honest picture of nine megapixels."""


def sequential(scans: int) -> bytes:
    """A JPEG that is not progressive, in color, one scan of which is there so many times more."""
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG")
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * scans + data[-2:]


def jpeg(header: bytes) -> bytes:
    data = encoded(Image.new("L", (8, 8)), "JPEG")
    return data[:2] + header + data[2:]


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def chunk(letters: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + letters + data + struct.pack(">I", zlib.crc32(letters + data))


def png(before: bytes, pieces: int = 1, side: int = 1) -> bytes:
    """A gray PNG with more chunks before its pixels, and those in so many pieces."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    pixels = zeros((side + 1) * side)
    size = -(-len(pixels) // pieces)
    data = b"".join(chunk(b"IDAT", pixels[start : start + size]) for start in range(0, len(pixels), size))
    return b"\x89PNG\r\n\x1a\n" + header + before + data + chunk(b"IEND", b"")


def webp(more: int) -> bytes:
    data = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\7\0\0" * 2
    body = b"WEBP" + canvas + data[12:] + (b"more" + bytes(4)) * more
    return b"RIFF" + struct.pack("<I", len(body)) + body


TOO_MUCH: dict[str, tuple[Callable[[], bytes], str]] = {
    "2 000 scans of much": (
        lambda: progressive(2000, 7000),
        "scans; at most 30 are allowed for its 49000000",
    ),
    "2 000 scans of little": (lambda: progressive(2000, 500), "scans; at most 200 are allowed"),
    "40 scans of the most": (lambda: progressive(40, 7000), "scans; at most 30 are allowed"),
    "scans that are not progressive": (lambda: sequential(2000), "has 2001 scans; at most 200"),
    "markers without a length": (lambda: jpeg(b"\xff\x01" * 9 * MIB), "more than 100000 segments"),
    "markers that stand in pixels": (lambda: jpeg(b"\xff\xd0" * 9 * MIB), "more than 100000 segments"),
    "filling": (lambda: jpeg(b"\xff" * 19 * MIB), "more than 100000 segments"),
    "stuffing": (lambda: jpeg(b"\xff\0" * 9 * MIB), "more than 100000 segments"),
    "empty segments": (lambda: jpeg(segment(0xE5, b"") * 4 * MIB), "more than 100000 segments"),
    "comments": (lambda: jpeg(segment(0xFE, b"x") * 4 * MIB), "more than 100000 segments"),
    "tables": (lambda: jpeg(segment(0xDB, (b"\0" + b"\1" * 64) * 1000) * 300), "more than 100000 segments"),
    "resources in segments": (
        lambda: jpeg(segment(0xED, b"Photoshop 3.0\0" + (b"8BIM\4\4" + bytes(6)) * 5400) * 300),
        "more than 100000 segments",
    ),
    "empty chunks": (lambda: png(chunk(b"vpAg", b"") * 1_700_000), "more than 100000 chunks"),
    "texts": (lambda: png(chunk(b"tEXt", b"k\0v") * 1_300_000), "more than 100000 chunks"),
    "empty pieces of pixels": (lambda: png(chunk(b"IDAT", b"") * 1_700_000), "more than 100000 chunks"),
    "chunks of a WebP": (lambda: webp(2_400_000), "more than 100000 chunks"),
}
HONEST: dict[str, Callable[[], bytes]] = {
    "20 scans of the most": lambda: progressive(20, 7000),
    "as many chunks as allowed": lambda: png(chunk(b"vpAg", b"") * (MAX_PARTS - 3)),
    "pixels in small pieces": lambda: png(b"", pieces=2_000, side=3_000),
    "tables and comments": lambda: jpeg(segment(0xDB, b"\0" + b"\1" * 64) * 4 + segment(0xFE, b"x") * 1000),
}


@pytest.fixture(scope="module")
def usual() -> float:
    """The CPU seconds that an honest picture of nine megapixels takes, in scans as encoders make them."""
    honest = progressive(10, 3000)
    return min(seconds(lambda: make_good(honest, max_pixels=MAX_PIXELS)) for _ in range(3))


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this thread, without a search for garbage among all that the tests left."""
    gc.collect()
    gc.disable()
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    finally:
        gc.enable()


@pytest.mark.parametrize(("make", "words"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_much_work_is_refused_by_name(
    make: Callable[[], bytes], words: str, usual: float
) -> None:
    """At once: what it takes to say so is no more than a few honest pictures."""
    data = make()

    def look() -> None:
        with pytest.raises(InspectionFailed) as failed:
            make_good(data, max_pixels=MAX_PIXELS)
        assert failed.value.reason is Reason.IMAGE_UNDECODABLE
        assert words in failed.value.description

    assert any(seconds(look) < MOST_TIMES * usual for _ in range(3))


@pytest.mark.parametrize("make", HONEST.values(), ids=HONEST)
def test_what_encoders_make_is_taken(make: Callable[[], bytes]) -> None:
    assert make_good(make(), max_pixels=MAX_PIXELS).inspection.width >= 1


@pytest.mark.parametrize(
    "make",
    [lambda: progressive(300, 100), lambda: png(chunk(b"vpAg", b"") * 60_000)],
    ids=["scans", "chunks"],
)
def test_a_result_is_looked_at_whatever_it_costs(make: Callable[[], bytes]) -> None:
    """It is paid for: the worker's limits alone decide."""
    assert make_good(make(), max_pixels=MAX_PIXELS, paid=True).inspection.width >= 1


@pytest.mark.parametrize("side", [1, 2_000])
def test_little_is_held_of_what_is_inflated(side: int) -> None:
    """P18: of a picture of 12 MB, and of one of a pixel whose stream goes on for as long."""
    data = picture(zeros(6_001 * 2_000), (side, side), colour=2)
    tracemalloc.start()
    try:
        found = make_good(data, max_pixels=MAX_PIXELS)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.inspection.width == side
    assert most < MIB
