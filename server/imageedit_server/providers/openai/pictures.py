"""Pictures made ready for the vendor. Runs in a worker process: everything here is picklable and blocking."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps
from PIL.ExifTags import Base as ExifTag

_FORMATS = ("PNG", "JPEG", "WEBP")
_UPRIGHT = 1
_PNG_MODES = ("1", "I", "I;16", "L", "LA", "RGB", "RGBA")
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "PNG": {},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A picture as the vendor gets it. ``turned`` and ``converted`` say what was done to it."""

    content: bytes
    media_type: str
    turned: bool = False
    converted: bool = False


def make_ready(content: bytes, media_types: tuple[str, ...]) -> Ready:
    """Return a picture that is not upright, or not of one of ``media_types``, as one that is both.

    A vendor that ignored the EXIF orientation would put mask and picture on different sides. The first of
    ``media_types`` is what others become. PNG and WebP are made without loss.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        turned, converted = _is_turned(image), Image.MIME[image.format or "PNG"] not in media_types
        name = _format(media_types[0]) if converted else image.format or "PNG"
        ready = _encoded(ImageOps.exif_transpose(image), name)
    return Ready(content=ready, media_type=Image.MIME[name], turned=turned, converted=converted)


def make_mask_ready(content: bytes) -> Ready:
    """Return the mask as an upright PNG with an alpha channel; its own bytes when it is one already.

    A mask made anew is black under its alpha, which alone counts, so that it is small.
    """
    with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
        turned, converted = _is_turned(image), image.format != "PNG"
        if not turned and not converted and "A" in image.getbands():
            return Ready(content=content, media_type="image/png")
        alpha = ImageOps.exif_transpose(image).convert("RGBA").getchannel("A")
    mask = Image.new("RGBA", alpha.size)
    mask.putalpha(alpha)
    return Ready(
        content=_encoded(mask, "PNG"),
        media_type="image/png",
        turned=turned,
        converted=converted or not turned,
    )


def _is_turned(image: Image.Image) -> bool:
    return bool(image.getexif().get(ExifTag.Orientation, _UPRIGHT) != _UPRIGHT)


def _format(media_type: str) -> str:
    return next(name for name in _FORMATS if Image.MIME[name] == media_type)


def _encoded(image: Image.Image, name: str) -> bytes:
    out = io.BytesIO()
    plain = _plain(image) if name == "PNG" else image
    profile = image.info.get("icc_profile") if plain.mode == image.mode else None
    plain.save(out, name, icc_profile=profile, **_SAVE_OPTIONS[name])
    return out.getvalue()


def _plain(image: Image.Image) -> Image.Image:
    """Return the picture in a mode that every reader of PNG knows."""
    if image.mode in _PNG_MODES and "transparency" not in image.info:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")
