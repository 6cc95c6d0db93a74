"""Small files that would become huge (F80): how each is made, and what it is refused for."""

import gzip
import struct
from collections.abc import Callable

from PIL import Image

from imageedit_server.core.errors import Reason
from tests.images.pictures import MIB, PNG_SIGNATURE, chunk, encoded, png, zeros


def jpeg(width: int, height: int, **options: object) -> bytes:
    """A tiny JPEG whose header claims another size."""
    data = encoded(Image.new("L", (8, 8)), "JPEG", **options)
    size = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


def webp(width: int, height: int) -> bytes:
    """A tiny lossless WebP whose header claims another size."""
    data = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    assert data[12:16] == b"VP8L"
    return data[:21] + struct.pack("<I", (height - 1) << 14 | (width - 1)) + data[25:]


def lossy_webp(width: int, height: int) -> bytes:
    """A tiny lossy WebP whose header claims another size."""
    data = encoded(Image.new("RGB", (8, 8)), "WEBP")
    assert data[12:16] == b"VP8 "
    return data[:26] + struct.pack("<HH", width, height) + data[30:]


def riff(letters: bytes, data: bytes) -> bytes:
    """One chunk of a WebP."""
    return letters + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def animated_webp(frames: int, width: int, height: int) -> bytes:
    """A WebP of many frames of one pixel each."""

    def three(number: int) -> bytes:
        return number.to_bytes(3, "little")

    still = encoded(Image.new("RGB", (1, 1)), "WEBP", lossless=True)[12:]
    canvas = riff(b"VP8X", b"\x02\0\0\0" + three(width - 1) + three(height - 1))
    frame = riff(b"ANMF", bytes(12) + three(1) + b"\0" + still)
    return riff(b"RIFF", b"WEBP" + canvas + riff(b"ANIM", bytes(6)) + frame * frames)


def gif(frames: int) -> bytes:
    """A GIF of many frames of one pixel each."""
    header = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\0"
    return header + frame * frames + b";"


def fits(body: bytes) -> bytes:
    """A FITS file that names its data as gzipped."""
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "ZCMPTYPE= 'GZIP_1  '",
        "END",
    ]
    return "".join(card.ljust(80) for card in cards).encode().ljust(2880) + body


def exif_circle() -> bytes:
    """EXIF whose directory has as many entries as it may, each pointing at all of it, and is its own next."""
    entries = struct.pack("<HHII", 0x8769, 4, 2**31, 8) * 65_535
    return b"II*\0" + struct.pack("<IH", 8, 65_535) + entries + struct.pack("<I", 8)


def scans(count: int) -> bytes:
    """A progressive JPEG of 49 megapixels that is gone over ``count`` times: each costs 54 bytes, and CPU."""
    size = struct.pack(">HBHHBBBB", 11, 8, 7_000, 7_000, 1, 1, 0x11, 0)
    table = struct.pack(">HB", 20, 0x10) + b"\1" + bytes(15) + b"\xe0"
    blocks = (7_000 // 8) ** 2
    # A code of one bit, 0, for a run of 2**14 and as many blocks as the 14 bits after it say.
    bits = "0" + "0" * 14
    runs = bits * -(-blocks // 2**14)
    body = int(runs.ljust(-(-len(runs) // 8) * 8, "1"), 2).to_bytes(-(-len(runs) // 8))
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0) + body
    quality = b"\xff\xdb" + struct.pack(">HB", 67, 0) + b"\1" * 64
    return b"\xff\xd8" + quality + b"\xff\xc2" + size + b"\xff\xc4" + table + scan * count + b"\xff\xd9"


def one_pixel(*extra: bytes) -> bytes:
    return png(zeros(2), (1, 1), *extra)


TOO_LARGE, UNDECODABLE = Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNDECODABLE

FRAMES = chunk(b"acTL", struct.pack(">II", 100_000, 0)) + chunk(b"fcTL", struct.pack(">5I6x", 0, 1, 1, 0, 0))

BOMBS: dict[str, tuple[Callable[[], bytes], Reason, str]] = {
    "164 kB that are 160 MB": (
        lambda: png(zeros(12_651 * 12_650), (12_650, 12_650)),
        TOO_LARGE,
        "has 160022500 pixels",
    ),
    "657 kB that are 654 MB": (
        lambda: png(zeros(51_145 * 12_786), (12_786, 12_786), colour=6),
        TOO_LARGE,
        "has 163481796 pixels",
    ),
    "png 40000²": (lambda: png(zeros(9), (40_000, 40_000)), TOO_LARGE, "has 1600000000 pixels"),
    "png 20000²": (
        lambda: png(zeros(20_001 * 20_000), (20_000, 20_000)),
        TOO_LARGE,
        "has 400000000 pixels; at most 50000000 are allowed",
    ),
    "png just over": (lambda: png(zeros(50_000_002), (50_000_001, 1)), TOO_LARGE, "has 50000001 pixels"),
    "png of the largest size": (lambda: png(zeros(9), (2**31 - 1, 2**31 - 1)), TOO_LARGE, "pixels; at most"),
    "jpeg 65500²": (lambda: jpeg(65_500, 65_500), TOO_LARGE, "has 4290250000 pixels"),
    "progressive jpeg 65500²": (
        lambda: jpeg(65_500, 65_500, progressive=True),
        TOO_LARGE,
        "4290250000 pixels",
    ),
    "webp 16000²": (lambda: webp(16_000, 16_000), TOO_LARGE, "has 256000000 pixels"),
    "lossy webp 16000²": (lambda: lossy_webp(16_000, 16_000), TOO_LARGE, "has 256000000 pixels"),
    "webp canvas 16000²": (lambda: animated_webp(0, 16_000, 16_000), TOO_LARGE, "has 256000000 pixels"),
    "webp canvas 16777216²": (
        lambda: animated_webp(0, 2**24, 2**24),
        TOO_LARGE,
        "has 281474976710656 pixels",
    ),
    "a hundred thousand webp frames": (
        lambda: animated_webp(100_000, 1, 1),
        UNDECODABLE,
        "is an animated WebP picture",
    ),
    "a hundred thousand frames": (
        lambda: one_pixel(FRAMES),
        UNDECODABLE,
        "is an animated PNG picture",
    ),
    **{
        name: (make, UNDECODABLE, "not a PNG, JPEG or WebP picture")
        for name, make in {
            "a hundred thousand gif frames": lambda: gif(100_000),
            "gif 65500²": lambda: b"GIF89a" + struct.pack("<HHBBB", 65_500, 65_500, 0, 0, 0),
            "tiff whose directory is its next": lambda: b"II*\0" + struct.pack("<IHI", 8, 0, 8),
            "ico in an ico": lambda: b"\0\0\1\0\1\0" + struct.pack("<BBBBHHII", *[0] * 6, 22, 0) * 2,
            "psd 300000²": lambda: b"8BPS\0\1" + struct.pack(">6xHIIHH", 4, 300_000, 300_000, 8, 3),
            "gzipped fits": lambda: fits(gzip.compress(bytes(50 * MIB))),
            "pdf": lambda: b"%PDF-1.7\n" + bytes(MIB),
            "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n" + b"\n" * MIB,
            "jpeg 2000": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(MIB),
            "svg of many entities": lambda: b'<!DOCTYPE s [<!ENTITY a "aaaa">]><svg>' + b"&a;" * MIB,
        }.items()
    },
    "more bytes than allowed": (lambda: bytes(20 * MIB + 1), TOO_LARGE, "has more than 20971520 bytes"),
    "only zeros": (lambda: bytes(20 * MIB), UNDECODABLE, "is not a PNG, JPEG or WebP picture"),
    "only marker prefixes": (lambda: b"\xff\xd8" + b"\xff" * (10 * MIB), UNDECODABLE, "is cut short"),
    "only segments": (
        lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * MIB,
        UNDECODABLE,
        "has more than 100000 segments",
    ),
    "only empty chunks": (
        lambda: PNG_SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"aaAa") * 100_000 + chunk(b"IEND"),
        UNDECODABLE,
        "has more than 100000 chunks",
    ),
}
HARMLESS: dict[str, Callable[[], bytes]] = {
    "iTXt": lambda: one_pixel(chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(100 * MIB))),
    "zTXt": lambda: one_pixel(chunk(b"zTXt", b"a\0\0" + zeros(100 * MIB))),
    "colour profile": lambda: one_pixel(chunk(b"iCCP", b"a\0\0" + zeros(100 * MIB))),
    "an EXIF profile": lambda: one_pixel(chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros(100 * MIB))),
    "ten thousand texts of a megabyte": lambda: one_pixel(
        *[chunk(b"zTXt", b"a\0\0" + zeros(MIB))] * 10_000,
    ),
    "ten thousand EXIF profiles of a megabyte": lambda: one_pixel(
        *[chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros(MIB + 1))] * 10_000,
    ),
    "EXIF in pieces": lambda: (
        (whole := encoded(Image.new("L", (8, 8)), "JPEG"))[:2]
        + (b"\xff\xe1\0\x16Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0" + b"\xff\xe1\0\x2aExif\0\0" + bytes(34))
        * 40_000
        + whole[2:]
    ),
    "as many pixels as allowed, in WebP": lambda: encoded(
        Image.new("RGBA", (7_071, 7_071)), "WEBP", lossless=True, quality=0, method=0
    ),
    "a megabyte of EXIF that leads in a circle": lambda: png(zeros(2), (1, 1), chunk(b"eXIf", exif_circle())),
    "much data behind the pixels": lambda: png(zeros(100 * MIB), (1, 1)),
    "as many pixels as allowed, with alpha to look for": lambda: png(
        zeros(10_001 * 5_000), (10_000, 5_000), chunk(b"PLTE", bytes(3)), chunk(b"tRNS", b"\0"), colour=3
    ),
}
