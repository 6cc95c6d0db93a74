"""Pictures made ready for the vendor. Runs in a worker process: everything here is picklable and blocking."""

import io
from typing import Any, Literal

from PIL import Image, ImageChops, ImageOps

EditColor = Literal["black", "white"]

_FORMATS = ("PNG", "JPEG", "WEBP")
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "PNG": {}}


def upright(content: bytes) -> bytes:
    """Return a turned picture as people see it, in its own format.

    A vendor that ignores the EXIF orientation would put mask and picture on different sides.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        assert image.format is not None
        turned = ImageOps.exif_transpose(image)
        return _encoded(turned, image.format)


def black_and_white(content: bytes, edit_color: EditColor) -> bytes:
    """Render a mask whose alpha 0 means edit as a gray PNG in which ``edit_color`` does.

    The size stays; alpha between 0 and 255 becomes a gray between the colours.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        keep = ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")
    return _encoded(keep if edit_color == "black" else ImageChops.invert(keep), "PNG")


def _encoded(image: Image.Image, name: str) -> bytes:
    out = io.BytesIO()
    image.save(out, name, icc_profile=image.info.get("icc_profile"), **_SAVE_OPTIONS[name])
    return out.getvalue()
