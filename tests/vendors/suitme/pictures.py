"""The pictures that the vendor server makes: really computed from what it was sent."""

import colorsys
import hashlib
import io

from PIL import Image, ImageOps

from tests.vendors.suitme.rules import read_picture


def default_model(picture_url: str, size: str, side: int) -> bytes:
    """Crop the person's picture to the ratio. A URL, which this server cannot fetch, becomes a gray one."""
    image = read_picture(picture_url) or Image.new("RGB", (side, side), "gray")
    return _encoded(_fitted(image, size, side))


def edited(base: bytes, instructions: str, size: str, side: int) -> bytes:
    """Tint the base in a colour that the instructions choose: other words, another picture."""
    hue = hashlib.sha256(instructions.encode()).digest()[0] / 256
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.8, 1.0))
    image = _fitted(Image.open(io.BytesIO(base)), size, side)
    return _encoded(Image.blend(image, Image.new("RGB", image.size, (red, green, blue)), 0.25))


def _fitted(image: Image.Image, size: str, side: int) -> Image.Image:
    width, height = (int(part) for part in size.split(":"))
    scale = side / max(width, height)
    return ImageOps.fit(image.convert("RGB"), (round(width * scale), round(height * scale)))


def _encoded(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
