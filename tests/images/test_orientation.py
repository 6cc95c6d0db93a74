"""Which way up a picture is: the tag of its EXIF where that is 2 to 8, else upright; never XMP (F85)."""

import io
import struct

import pytest
from PIL import Image

from imageedit_server.images.orientation import orientation_in, orientation_of, upright
from tests.images.pictures import chunk, encoded

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
SIDEWAYS = struct.pack("<HHI4s", 0x0112, 3, 1, b"\6\0\0\0")
BYTE, ASCII, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5


def exif(kind: int, value: bytes, *, count: int = 1, order: str = "<", before: bytes = b"") -> bytes:
    """EXIF with an Orientation of any type, behind the entries ``before`` it."""
    entries = before + struct.pack(order + "HHI4s", 0x0112, kind, count, value)
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IH", 8, len(entries) // 12) + entries + bytes(4)


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"])


def corners() -> Image.Image:
    """Four colours, so that each of the eight ways up looks different."""
    image = Image.new("RGB", (64, 32), "white")
    for place, color in {(0, 0): "red", (32, 0): "green", (0, 16): "blue"}.items():
        image.paste(color, (*place, place[0] + 32, place[1] + 16))
    return image


def nearest(image: Image.Image, place: tuple[int, int]) -> str:
    """The name of the color at ``place``, which a lossy format may have changed a little."""
    pixel = image.convert("RGB").crop((*place, place[0] + 1, place[1] + 1)).tobytes()
    names = {(255, 0, 0): "red", (0, 128, 0): "green", (0, 0, 255): "blue", (255, 255, 255): "white"}
    return names[min(names, key=lambda color: sum(map(lambda a, b: abs(a - b), color, pixel)))]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        *((exif(SHORT, bytes([value, 0, 0, 0])), value) for value in range(1, 9)),
        (exif(SHORT, b"\0\6\0\0", order=">"), 6),
        (b"Exif\0\0" + exif(SHORT, b"\6\0\0\0"), 6),
        (b"Exif\0\0Exif\0\0" + exif(SHORT, b"\6\0\0\0"), 6),
        (exif(LONG, b"\6\0\0\0"), 6),
        (exif(LONG, b"\0\0\0\6", order=">"), 6),
        (exif(BYTE, b"\6\0\0\0"), 6),
        (exif(SHORT, b"\6\0\0\0", before=struct.pack("<HHI4s", 0x010F, ASCII, 2**31, b"\xff" * 4)), 6),
        (exif(SHORT, b"\6\0\0\0")[:-4], 6),
        (b"II*\0" + struct.pack("<IH", 8, 60_000) + SIDEWAYS, 6),
    ],
)
def test_the_tag_is_read_if_it_can_be(metadata: bytes, expected: int) -> None:
    assert orientation_in(metadata) == expected


@pytest.mark.parametrize(
    "metadata",
    [
        b"",
        b"Exif\0\0",
        b"not EXIF",
        b"II*\0",
        b"II*\0\xff\xff\xff\xff",
        b"II*\0" + struct.pack("<IH", 8, 1),
        b"II*\0" + struct.pack("<IH", 8, 1) + SIDEWAYS[:11],
        exif(SHORT, b"\0\0\0\0"),
        exif(SHORT, b"\x09\0\0\0"),
        exif(SHORT, b"\6\0\6\0", count=2),
        exif(LONG, b"\6\0\1\0"),
        exif(ASCII, b"6\0\0\0", count=2),
        exif(RATIONAL, b"\6\0\0\0"),
        b"Exif\0\0" * 1_000_000,
    ],
)
def test_what_is_no_orientation_is_upright(metadata: bytes) -> None:
    assert orientation_in(metadata) == 1


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_people_see_it(name: str, orientation: int) -> None:
    tag = exif(SHORT, bytes([orientation, 0, 0, 0]))
    data = encoded(corners(), name, exif=b"Exif\0\0" + tag, xmp=XMP, quality=100)
    with opened(data) as image:
        turned = upright(image)
    assert orientation_of(turned) == 1
    assert turned.size == ((64, 32) if orientation < 5 else (32, 64))
    # Where the stored top left and top right are seen, by TIFF 6.0's table.
    seen = {1: "red green", 2: "green red", 3: "white blue", 4: "blue white"}
    seen |= {5: "red blue", 6: "blue red", 7: "white green", 8: "green white"}
    places = [(4, 4), (turned.width - 4, 4)]
    assert " ".join(nearest(turned, place) for place in places) == seen[orientation]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_xmp_turns_nothing(name: str) -> None:
    with opened(encoded(corners(), name, xmp=XMP)) as image:
        assert orientation_of(image) == 1
        assert upright(image) is image


def test_a_png_may_have_its_exif_behind_its_pixels_or_in_a_text() -> None:
    tag = exif(SHORT, b"\6\0\0\0")
    data = encoded(corners(), "PNG")
    end = data.index(b"IEND") - 4
    raw = b"Raw profile type exif\0" + b"\nexif\n%8d\n" % len(tag) + tag.hex().encode() + b"\n"
    for extra, expected in (
        (chunk(b"eXIf", tag), 6),
        (chunk(b"tEXt", raw), 6),
        (chunk(b"tEXt", raw[:-2] + b"zz\n"), 1),
    ):
        with opened(data[:end] + extra + data[end:]) as image:
            assert orientation_of(image) == expected
