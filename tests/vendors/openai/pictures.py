"""The pictures that the vendor server makes: really computed from what it was sent."""

import io
import zlib
from collections.abc import Mapping, Sequence

from PIL import Image, ImageFilter, ImageOps

from tests.vendors.openai.rules import Asked

SAVE_OPTIONS: Mapping[str, dict[str, int]] = {"PNG": {"compress_level": 1}, "JPEG": {}, "WEBP": {"method": 0}}
_AUTO_SIZES: Sequence[tuple[int, int]] = ((1024, 1024), (1536, 1024), (1024, 1536))


def make_results(asked: Asked) -> list[Image.Image]:
    """Edit the first picture where the mask says, by the colour of the prompt; each result a little more."""
    size = size_of(asked)
    base = asked.images[0].convert("RGBA").resize(size)
    keep = asked.mask.getchannel("A").resize(size) if asked.mask else _keep_of(asked, base)
    return [Image.composite(base, _edited(asked, base, number), keep) for number in range(asked.n)]


def _keep_of(asked: Asked, base: Image.Image) -> Image.Image:
    """Without a mask a transparent picture is edited where it is transparent, another everywhere."""
    alpha = base.getchannel("A")
    return alpha if any(alpha.histogram()[:255]) else Image.new("L", base.size, 0)


def _edited(asked: Asked, base: Image.Image, number: int) -> Image.Image:
    color = zlib.crc32(asked.fields["prompt"].encode())
    tint = Image.new("RGBA", base.size, (color & 255, color >> 8 & 255, color >> 16 & 255, 255))
    edited = Image.blend(base, tint, min(0.3 + 0.05 * number, 1.0))
    edited.putalpha(255)
    for index, other in enumerate(asked.images[1:]):
        corner = ImageOps.fit(other.convert("RGBA"), (base.width // 8, base.height // 8))
        edited.paste(corner, (index % 8 * corner.width, index // 8 * corner.height))
    return edited


def size_of(asked: Asked) -> tuple[int, int]:
    """Return the size that was asked for, or the standard one nearest to the first picture's shape."""
    size = asked.fields.get("size", "auto")
    if size != "auto":
        width, _, height = size.partition("x")
        return int(width), int(height)
    ratio = asked.images[0].width / asked.images[0].height
    return min(_AUTO_SIZES, key=lambda shape: abs(shape[0] / shape[1] - ratio))


def partials_of(result: Image.Image, count: int) -> Sequence[Image.Image]:
    """Return the picture as it takes shape: less and less blurred."""
    small = result.resize((result.width // 4, result.height // 4))
    return [small.filter(ImageFilter.GaussianBlur(8 / (number + 1))) for number in range(count)]


def encoded(image: Image.Image, output_format: str = "png") -> bytes:
    """Encode a result."""
    name = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}[output_format]
    out = io.BytesIO()
    (image.convert("RGB") if name == "JPEG" else image).save(out, name, **SAVE_OPTIONS[name])
    return out.getvalue()
