"""The check of pictures takes nothing damaged that Pillow refuses, and refuses what it takes (P18, P19).

The short form; ``python -m tests.corruption`` is the long one. A harness that cannot find a bug proves
nothing, so it is set on bugs planted into the check first.
"""

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from imageedit_server.images import inspection, png_check, png_pixels
from imageedit_server.images.inspection import InspectionFailed, inspect_data
from tests.corruption.holding import FORMS, MAX_PIXELS, held
from tests.corruption.reference import decoded
from tests.images.pictures import png

SHORT = {"PNG": 600, "PNG by ISA-L": 400, "JPEG": 250, "WEBP": 250}
Planting = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("name", SHORT)
def test_the_verdict_is_pillows(name: str, request: pytest.FixtureRequest) -> None:
    tally = held(FORMS[name], SHORT[name])
    request.node.user_properties.append(("figure: line", ["corruption", tally.line(name)]))
    assert tally.findings == []
    assert min(tally.taken, tally.refused) > SHORT[name] // 10


def _any_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_pixels, "_FILTERS", bytes(range(256)))


def _any_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_pixels, "_check_header", lambda _header: None)


def _any_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_check, "_check_chunk", lambda _data, _part: None)


def _any_palette(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_check, "_check_palette", lambda _image: None)


def _nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_check, "_read", lambda _image, _part: None)


def _lines_as_if_not_interlaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_pixels, "_ADAM7", png_pixels._ALL_AT_ONCE)


def _no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "check_rest", png_check.check_checksums)


def _always_opaque(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_pixels.Alpha, "image", lambda _alpha: Image.new("L", (1, 1), 255))


def _the_header_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def draft(image: JpegImageFile, _mode: None, size: tuple[int, int]) -> None:
        image.im, image.tile = Image.new(image.mode, size).im, []

    monkeypatch.setattr(JpegImageFile, "draft", draft)


PLANTED = {
    "PNG": (
        _any_filter,
        _any_header,
        _any_checksum,
        _any_palette,
        _nothing_behind,
        _lines_as_if_not_interlaced,
        _no_pixels,
        _always_opaque,
    ),
    "JPEG": (_the_header_alone,),
}


@pytest.mark.parametrize(
    ("name", "plant"),
    [(name, plant) for name, plants in PLANTED.items() for plant in plants],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_planted_bug_is_found(name: str, plant: Planting, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert held(FORMS[name], SHORT[name], most=1).findings


ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
"""In which deflate tells the lengths of codes."""


def _bits(*fields: tuple[int, int]) -> bytes:
    """Numbers of so many bits each, the lowest first, as deflate packs them."""
    packed = position = 0
    for value, length in fields:
        packed |= value << position
        position += length
    return packed.to_bytes(-(-position // 8), "little")


@pytest.mark.parametrize("before", [b"", bytes(65_535)], ids=["small", "large"])
def test_a_table_of_codes_that_lacks_one_is_read_over_where_the_stream_is_long(before: bytes) -> None:
    """The one thing that Pillow refuses and the check does not, if no pixel uses the table: P19 names it.

    Three distances of two bits each leave out a fourth. No writer makes it, since no reader takes it.
    """
    sizes = [2 if symbol in (0, 1, 2, 18) else 0 for symbol in ORDER]
    one, two, zeros = ((code, 2) for code in (0b10, 0b01, 0b11))
    table = [one, zeros, (138 - 11, 7), zeros, (117 - 11, 7), one, two, two, two]
    block = [(1, 1), (2, 2), (0, 5), (2, 5), (len(sizes) - 4, 4), *((size, 3) for size in sizes), *table]
    stored = b"\0" + struct.pack("<HH", len(before), len(before) ^ 0xFFFF) + before
    checksum = zlib.adler32(before + bytes(4)).to_bytes(4)
    stream = b"\x78\x01" + stored + _bits(*block, *((0, 1),) * 4, (1, 1)) + checksum
    with pytest.raises(zlib.error, match="distances"):
        zlib.decompress(stream)
    picture = png(stream, (len(before) + 3, 1))
    assert decoded("PNG", picture, MAX_PIXELS) is None
    if before:
        assert inspect_data(picture, max_pixels=MAX_PIXELS).height == 1
    else:
        with pytest.raises(InspectionFailed, match="is a broken PNG picture"):
            inspect_data(picture, max_pixels=MAX_PIXELS)
