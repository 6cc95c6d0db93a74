"""Small pictures, sound and unsound."""

import io
import struct
import zlib
from pathlib import Path
from random import Random

from PIL import Image

PHOTO_FILE = Path(__file__).parents[1] / "photos" / "grace_hopper.jpg"


def picture(width: int = 8, height: int = 8, mode: str = "RGB", name: str = "PNG", fill: int = 90) -> bytes:
    """A picture of one colour."""
    image = Image.new(mode, (width, height), tuple([fill] * len(mode)) if len(mode) > 1 else fill)
    out = io.BytesIO()
    image.save(out, name)
    return out.getvalue()


def mask(width: int = 8, height: int = 8, alpha: int = 0) -> bytes:
    """A mask of one alpha."""
    out = io.BytesIO()
    Image.new("RGBA", (width, height), (0, 0, 0, alpha)).save(out, "PNG")
    return out.getvalue()


def noise(size: int) -> bytes:
    """A PNG of at least ``size`` bytes that does not compress, the same at each call."""
    side = int((size / 3) ** 0.5) + 1
    image = Image.frombytes("RGB", (side, side), Random(12345).randbytes(side * side * 3))
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=0)
    return file.getvalue()


def chunk(letters: bytes, data: bytes = b"") -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(data)) + letters + data + struct.pack(">I", zlib.crc32(letters + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises ``width`` x ``height`` grey pixels; its data is a few bytes."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND")


PNG = picture()
JPEG = picture(name="JPEG")
WEBP = picture(name="WEBP")
