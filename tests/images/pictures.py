"""Pictures for the tests, made by Pillow or, where it would not, by hand."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path

from PIL import Image

PHOTO = (Path(__file__).parents[1] / "photos" / "grace_hopper.jpg").read_bytes()
"""A JPEG of 512 × 600 pixels."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MIB = 1024 * 1024


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """Encode with Pillow."""
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def progressive(scans: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + scan * scans + data[-2:]


def chunk(letters: bytes, data: bytes = b"") -> bytes:
    """One chunk of a PNG."""
    checksum = zlib.crc32(letters + data)
    return struct.pack(">I", len(data)) + letters + data + struct.pack(">I", checksum)


def png(deflated: bytes, size: tuple[int, int] = (2, 1), *extra: bytes, colour: int = 0) -> bytes:
    """A PNG of 8 bits a sample around pixels that are deflated already."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, colour, 0, 0, 0))
    return PNG_SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", deflated) + chunk(b"IEND")


@cache
def zeros(length: int) -> bytes:
    """Deflate ``length`` zeros without ever holding them: small, and seconds of work for the longest."""
    deflate = zlib.compressobj(9)
    pieces = [deflate.compress(bytes(min(MIB, length - start))) for start in range(0, length, MIB)]
    return b"".join(pieces) + deflate.flush()


def files(root: Path) -> list[Path]:
    """Every file below ``root``."""
    return [path for path in root.rglob("*") if path.is_file()]
