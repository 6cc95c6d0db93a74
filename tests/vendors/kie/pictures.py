"""The pictures that the vendor server makes: really computed from what it was sent."""

import io
from collections.abc import Mapping
from typing import Any

from PIL import Image, ImageChops, ImageOps

from tests.vendors.kie.rules import Files, open_upload

LONG_SIDES = {"basic": 1.0, "high": 2.0}


def make_results(
    model: str, given: Mapping[str, Any], files: Files, *, edit_color: str, side: int
) -> list[bytes]:
    """Return the encoded results. ``side`` stands for the 2K of seedream's basic quality."""
    if model.startswith("seedream/"):
        return [_jpeg(_seedream(given, files, side))]
    return [
        _png(_character(given, files, number, edit_color))
        for number in range(int(given.get("num_images", "1")))
    ]


def _seedream(given: Mapping[str, Any], files: Files, side: int) -> Image.Image:
    """Tint the first picture, cropped to the ratio that was asked for."""
    width, height = (int(part) for part in given["aspect_ratio"].split(":"))
    long_side = side * LONG_SIDES[given["quality"]]
    scale = long_side / max(width, height)
    image = open_upload("image_urls", given["image_urls"][0], files).convert("RGB")
    fitted = ImageOps.fit(image, (round(width * scale), round(height * scale)))
    return Image.blend(fitted, Image.new("RGB", fitted.size, "orange"), 0.25)


def _character(given: Mapping[str, Any], files: Files, number: int, edit_color: str) -> Image.Image:
    """Fill the marked part with the reference, turned a little further for each further result."""
    image = open_upload("image_url", given["image_url"], files).convert("RGB")
    mask = open_upload("mask_url", given["mask_url"], files).convert("L")
    edited = ImageChops.invert(mask) if edit_color == "black" else mask
    [url, *_] = given.get("reference_image_urls") or [given["image_url"]]
    reference = open_upload("reference_image_urls", url, files).convert("RGB")
    return Image.composite(ImageOps.fit(reference.rotate(10 * number), image.size), image, edited)


def _jpeg(image: Image.Image) -> bytes:
    return _encoded(image, "JPEG")


def _png(image: Image.Image) -> bytes:
    return _encoded(image, "PNG")


def _encoded(image: Image.Image, name: str) -> bytes:
    out = io.BytesIO()
    image.save(out, name)
    return out.getvalue()
