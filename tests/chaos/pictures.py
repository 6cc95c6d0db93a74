"""Small pictures to send, and what a vendor may send in place of one."""

import io
import zlib
from collections.abc import Mapping

from PIL import Image, ImageDraw


def photo(size: tuple[int, int] = (64, 48)) -> bytes:
    """A PNG whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, "red")
    ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill="blue")
    return encoded(image, "PNG")


def cut_out(size: tuple[int, int] = (64, 64)) -> bytes:
    """A square PNG whose left half is transparent."""
    alpha = Image.new("L", size, 255)
    ImageDraw.Draw(alpha).rectangle((0, 0, size[0] // 2, size[1]), fill=0)
    image = Image.new("RGBA", size, "green")
    image.putalpha(alpha)
    return encoded(image, "PNG")


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    """Encode a picture."""
    out = io.BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def noise(size: tuple[int, int] = (32, 32)) -> Image.Image:
    """A picture that does not compress to nothing."""
    return Image.effect_noise(size, 80).convert("RGB")


JPEG = encoded(noise(), "JPEG")
PNG = encoded(noise(), "PNG")
WEBP = encoded(noise(), "WEBP")

_HUGE_HEADER = PNG[12:16] + (40_000).to_bytes(4, "big") * 2 + PNG[24:29]
HUGE_PNG = PNG[:12] + _HUGE_HEADER + zlib.crc32(_HUGE_HEADER).to_bytes(4, "big") + PNG[33:]
"""F80: some bytes that claim to be a picture of 6 GB."""

NO_RESULTS: Mapping[str, bytes] = {
    "empty": b"",
    "HTML": b"<!doctype html><html><body>expired</body></html>",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><script>1</script></svg>',
    "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n",
    "GIF": encoded(noise().convert("P"), "GIF"),
    "TIFF": encoded(noise(), "TIFF"),
    "BMP": encoded(noise(), "BMP"),
    "animated WebP": encoded(
        noise(), "WEBP", save_all=True, append_images=[Image.new("RGB", (32, 32))], duration=50
    ),
    "PNG of 40000 x 40000": HUGE_PNG,
    "random bytes": bytes(range(256)) * 4,
}
"""F52: what looks a little like a picture and is none that is taken."""

REFUSED: Mapping[str, bytes] = {
    "animated PNG": encoded(noise(), "PNG", save_all=True, append_images=[Image.new("RGB", (32, 32))]),
    "PNG without its end": PNG[:-12],
}
"""P19: what a caller may not bring, and is made good when it is a result, of which every pixel is there."""

MENDED: Mapping[str, bytes] = {**REFUSED, "PNG and HTML": PNG + b"<html><script>1</script></html>"}
"""P19: what is made good when it is a result."""

MORE_THAN_A_JPEG = JPEG + b"PK\x03\x04" + bytes(64)
"""A JPEG may go on after its end: cameras and phones put more there."""

SHARES = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
"""F52: how much of a picture there is."""
FEW_SHARES = (0.01, 0.5, 0.99)
