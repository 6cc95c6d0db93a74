"""Photos as phones, cameras and editors write them, with what they get wrong: all are taken (P19, F85).

Each is taken as the same pixels as the plain picture, in a file that needs no second look.
"""

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms

from imageedit_server.images.decoding import opened
from imageedit_server.images.mending import Mended, make_good
from imageedit_server.images.orientation import exif_with
from imageedit_server.images.trimming.limits import MAX_TEXT_BYTES
from tests.images.pictures import PHOTO, chunk, encoded

MAX_PIXELS = 1_000_000
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SIDEWAYS = exif_with(6)
LONG = bytes(MAX_TEXT_BYTES)


def small(mode: str = "RGB") -> Image.Image:
    """The photo as a thumbnail: 40 × 30 pixels."""
    return Image.open(io.BytesIO(PHOTO)).resize((40, 30)).convert(mode)


def good(came: bytes) -> Mended:
    return make_good(came, max_pixels=MAX_PIXELS)


def pixels(content: bytes) -> bytes:
    with opened(content) as image:
        return image.convert("RGB").tobytes()


# JPEG

JPEG = encoded(small(), "JPEG")


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments: bytes) -> bytes:
    """The JPEG with ``segments`` behind its start."""
    return JPEG[:2] + b"".join(segments) + JPEG[2:]


EXIF = segment(0xE1, b"Exif\0\0" + SIDEWAYS)
MPO = encoded(small(), "MPO", save_all=True, append_images=[small("L")], exif=b"Exif\0\0" + SIDEWAYS)
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000) + b"\xff\xd8\xff\xd9"

JPEGS = {
    "fill bytes": JPEG.replace(b"\xff\xdb", b"\xff\xff\xff\xdb"),
    "fill bytes before the end": JPEG[:-2] + b"\xff\xff\xff\xd9",
    "junk between segments": JPEG.replace(b"\xff\xdb", b"\0\0\xff\xdb", 1),
    "number of lines": JPEG[:-2] + segment(0xDC, struct.pack(">H", 30)) + JPEG[-2:],
    "turned, with a thumbnail": jpeg(segment(0xE1, b"Exif\0\0" + SIDEWAYS + JPEG)),
    "much of Photoshop": jpeg(*[segment(0xED, b"Photoshop 3.0\0" + bytes(60_000))] * 50),
    "Photoshop cut short": jpeg(segment(0xED, b"Photoshop 3.0\x008BIM\4\4")),
    "much XMP": jpeg(*[segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(60_000))] * 50),
    "turned, with much EXIF": jpeg(EXIF, *[segment(0xE1, b"Exif\0\0" + bytes(60_000))] * 50),
    "EXIF that is none": jpeg(segment(0xE1, b"Exif\0\0garbage")),
    "EXIF of nothing": jpeg(segment(0xE1, b"Exif\0\0")),
    "EXIF without a directory": jpeg(segment(0xE1, b"Exif\0\0MM\0*\0\0\xff\xff")),
    "turned, and Photoshop cut short": jpeg(EXIF, segment(0xED, b"Photoshop 3.0\x008BIM\4\4")),
    "comment with markers": jpeg(segment(0xFE, b"\xff\xd9" * 100)),
    "profile cut short": jpeg(segment(0xE2, b"ICC_PROFILE\0")),
    "profile without a part": jpeg(segment(0xE2, b"ICC_PROFILE\0\1\3" + PROFILE)),
    "two profiles": jpeg(*[segment(0xE2, b"ICC_PROFILE\0\1\1" + PROFILE)] * 2),
    "Adobe's segment cut short": jpeg(segment(0xEE, b"Adobe")),
    "JFIF cut short": jpeg(segment(0xE0, b"JFIF")),
    "Samsung's trailer": JPEG + b"SEFH" + bytes(40) + b"SEFT",
    "motion photo": JPEG + VIDEO,
    "turned portrait of a phone": MPO,
    "turned portrait without its pictures": MPO[: MPO.index(b"\xff\xd9") + 2],
}

# PNG

PNG = encoded(small(), "PNG")


def png(*chunks: bytes, before: bytes = b"IDAT", whole: bytes = PNG) -> bytes:
    """The PNG with ``chunks`` in front of another."""
    start = whole.index(before) - 4
    return whole[:start] + b"".join(chunks) + whole[start:]


def wrong(letters: bytes, data: bytes) -> bytes:
    """A chunk whose checksum is not its own."""
    return chunk(letters, data)[:-1] + b"?"


def exif_in_text(length: int = 0) -> bytes:
    digits = SIDEWAYS.hex().encode() + b"00" * length
    return chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n      28\n" + digits + b"\n")
    )


PNGS = {
    "text with a wrong checksum": png(wrong(b"tEXt", b"a\0b")),
    "text with a wrong checksum behind the pixels": png(wrong(b"tEXt", b"a\0b"), before=b"IEND"),
    "gamma with a wrong checksum": png(wrong(b"gAMA", struct.pack(">I", 45455))),
    "end with a wrong checksum": PNG[:-1] + b"?",
    "end with bytes in it": PNG[:-12] + chunk(b"IEND", b"more"),
    "more after the pixels": png(chunk(b"IDAT", b"more"), before=b"IEND"),
    "profile that is not deflated": png(chunk(b"iCCP", b"a\0\0b")),
    "profile without a name": png(chunk(b"iCCP", b"")),
    "profile packed in another way": png(chunk(b"iCCP", b"a\0\5" + PROFILE)),
    "text packed in another way": png(chunk(b"zTXt", b"a\0\7b")),
    "text of nothing": png(chunk(b"tEXt"), chunk(b"zTXt"), chunk(b"iTXt")),
    "long text": png(chunk(b"tEXt", b"workflow\0" + LONG)),
    "long text in another language": png(chunk(b"iTXt", b"a\0\0\0en\0a\0" + LONG)),
    "many texts": png(*[chunk(b"zTXt", b"a\0\0" + zlib.compress(LONG[1:]))] * 20),
    "transparency cut short": png(chunk(b"tRNS", b"\0")),
    "density cut short": png(chunk(b"pHYs", b"\0")),
    "turned": png(chunk(b"eXIf", SIDEWAYS)),
    "turned, with a prefix": png(chunk(b"eXIf", b"Exif\0\0" + SIDEWAYS)),
    "turned behind the pixels": png(chunk(b"eXIf", SIDEWAYS), before=b"IEND"),
    "EXIF that is none": png(chunk(b"eXIf", b"garbage")),
    "turned by long EXIF": png(chunk(b"eXIf", SIDEWAYS + LONG)),
    "turned in a text": png(exif_in_text()),
    "turned in a long text": png(exif_in_text(MAX_TEXT_BYTES)),
    "turned, and a text packed in another way": png(chunk(b"eXIf", SIDEWAYS), chunk(b"zTXt", b"a\0\7b")),
    "animation of one frame": png(chunk(b"acTL", struct.pack(">II", 1, 0))),
    "animation of no frame": png(chunk(b"acTL", bytes(8)), chunk(b"fcTL")),
    "chunks that nobody knows": png(chunk(b"caBX", LONG), chunk(b"ab1c")),
    "a JPEG behind it": PNG + JPEG,
    "zeros behind it": PNG + bytes(400),
}

# WebP

WEBP = encoded(small(), "WEBP", lossless=True)


def part(letters: bytes, data: bytes, padding: bytes = b"\0") -> bytes:
    return letters + struct.pack("<I", len(data)) + data + padding[: len(data) % 2]


def webp(*parts: bytes, flags: int = 0x0C) -> bytes:
    """The WebP in the extended form, with ``parts`` behind its pixels."""
    size = bytes([39, 0, 0, 29, 0, 0])
    body = b"WEBP" + part(b"VP8X", bytes([flags, 0, 0, 0]) + size) + WEBP[12:] + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def sized(size: int, whole: bytes = WEBP) -> bytes:
    return whole[:4] + struct.pack("<I", size) + whole[8:]


ODD = SIDEWAYS + b"\0" * (1 - len(SIDEWAYS) % 2)
FRAME = bytes(6) + bytes([39, 0, 0, 29, 0, 0]) + bytes(4) + WEBP[12:]

WEBPS = {
    "size of one too much": sized(len(WEBP) - 7),
    "size of one too little": sized(len(WEBP) - 9),
    "size with the header": sized(len(WEBP)),
    "no size": sized(0),
    "no size, and zeros": sized(0) + bytes(400),
    "no size in a stream": sized(2**32 - 1),
    "no size in another": sized(2**32 - 2),
    "turned, and a size of one too little": sized(
        len(webp(part(b"EXIF", SIDEWAYS))) - 9, webp(part(b"EXIF", SIDEWAYS))
    ),
    "turned by odd EXIF": webp(part(b"EXIF", ODD)),
    "turned by odd EXIF without padding": webp(part(b"EXIF", ODD, b"")),
    "turned by odd EXIF without padding, and XMP": webp(part(b"EXIF", ODD, b""), part(b"XMP ", b"<x/>")),
    "EXIF that goes beyond": webp(part(b"EXIF", SIDEWAYS)[:4] + b"\xff\xff\0\0" + SIDEWAYS),
    "EXIF that is none": webp(part(b"EXIF", b"garbage")),
    "EXIF that no flag tells": webp(part(b"EXIF", SIDEWAYS), flags=0),
    "turned by long EXIF": webp(part(b"EXIF", SIDEWAYS + LONG)),
    "turned, and long XMP": webp(part(b"EXIF", SIDEWAYS), part(b"XMP ", LONG)),
    "animation of one frame": webp(flags=2).replace(
        WEBP[12:], part(b"ANIM", bytes(6)) + part(b"ANMF", FRAME)
    ),
    "chunk that nobody knows": webp(part(b"abcd", b"what")),
    "XMP behind it": WEBP + b"XMP \x10\0\0\0<x:xmpmeta/>    ",
}


@pytest.mark.parametrize(
    ("name", "came", "plain"),
    [
        *(pytest.param(name, came, JPEG, id=f"JPEG: {name}") for name, came in JPEGS.items()),
        *(pytest.param(name, came, PNG, id=f"PNG: {name}") for name, came in PNGS.items()),
        *(pytest.param(name, came, WEBP, id=f"WebP: {name}") for name, came in WEBPS.items()),
    ],
)
def test_an_ordinary_file_is_taken(name: str, came: bytes, plain: bytes) -> None:
    mended = good(came)
    content = mended.content or came
    assert pixels(content) == pixels(plain)
    assert mended.inspection.upright == (not name.startswith("turned"))
    assert good(content) == Mended(inspection=mended.inspection)
    with Image.open(io.BytesIO(content), formats=["PNG", "JPEG", "WEBP"]) as image:
        assert image.format != "MPO"
        assert image.getexif().get(0x0112, 1) == (6 if name.startswith("turned") else 1)
