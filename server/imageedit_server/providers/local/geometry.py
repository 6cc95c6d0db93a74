"""Changes of shape: flip, rotate, crop and fit."""

from math import sqrt

from PIL import Image

from imageedit_server.core.sizes import AUTO, MAX_PIXELS, MAX_SIDE, Shape, parse_size
from imageedit_server.providers.local.picture import Picture
from imageedit_server.providers.local.plan import Axis

_QUARTERS = {
    90.0: Image.Transpose.ROTATE_270,
    180.0: Image.Transpose.ROTATE_180,
    270.0: Image.Transpose.ROTATE_90,
}
"""Pillow counts counterclockwise, people clockwise."""

_WHITE = (255, 255, 255)
_CLEAR = (255, 255, 255, 0)


def flip(picture: Picture, axis: Axis | None) -> Picture:
    """Mirror the picture."""
    vertical = axis is Axis.VERTICAL
    method = Image.Transpose.FLIP_TOP_BOTTOM if vertical else Image.Transpose.FLIP_LEFT_RIGHT
    return picture.with_flattened(picture.flattened().transpose(method))


def rotate(picture: Picture, degrees: float) -> Picture:
    """Turn the picture clockwise. The canvas follows; new corners are white, with alpha transparent."""
    whole = picture.flattened()
    quarter = _QUARTERS.get(degrees % 360)
    if quarter is not None:
        return picture.with_flattened(whole.transpose(quarter))
    corner = _WHITE if picture.alpha is None else _CLEAR
    turned = whole.rotate(-degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=corner)
    return picture.with_flattened(_within_limits(turned))


def fit(picture: Picture, size: str) -> Picture:
    """Cut the largest centred crop of the shape of ``size``; then scale it, where ``size`` is in pixels."""
    shape = None if size in ("", AUTO) else parse_size(size)
    if shape is None:
        return picture
    whole = picture.flattened()
    box = _centred(whole.size, shape)
    target = (shape.width, shape.height)
    if shape.is_ratio or (box[2] - box[0], box[3] - box[1]) == target:
        return picture.with_flattened(whole.crop(tuple(round(edge) for edge in box)))  # type: ignore[arg-type]
    return picture.with_flattened(whole.resize(target, Image.Resampling.LANCZOS, box, reducing_gap=3.0))


def scale(picture: Picture, size: str) -> tuple[Picture, bool]:
    """Scale to a percentage (``50%``), a width (``1024x``) or a height (``x768``); the shape stays.

    Returns whether it is as large as asked: no result is larger than results may be.
    """
    width, height = picture.size
    factor = _factor(size, width, height)
    share = min(factor, MAX_SIDE / max(width, height), sqrt(MAX_PIXELS / (width * height)))
    rounded = round if share == factor else int  # rounding up could pass the limit
    target = (max(1, rounded(width * share)), max(1, rounded(height * share)))
    whole = picture.flattened().resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return picture.with_flattened(whole), share == factor


def _factor(size: str, width: int, height: int) -> float:
    if size.endswith("%"):
        return float(size[:-1]) / 100
    return int(size[1:]) / height if size.startswith("x") else int(size[:-1]) / width


def _centred(size: tuple[int, int], shape: Shape) -> tuple[float, float, float, float]:
    """Return the largest centred box of this shape: in whole pixels for a ratio."""
    width, height = size
    across, down = min(width, height * shape.ratio), min(height, width / shape.ratio)
    if shape.is_ratio:
        across, down = max(1, round(across)), max(1, round(down))
        left, top = float((width - across) // 2), float((height - down) // 2)
    else:
        left, top = (width - across) / 2, (height - down) / 2
    return left, top, left + across, top + down


def _within_limits(image: Image.Image) -> Image.Image:
    """Scale down what a rotation made larger than results may be."""
    share = min(1.0, MAX_SIDE / max(image.size), sqrt(MAX_PIXELS / (image.width * image.height)))
    if share == 1.0:
        return image
    return image.resize((int(image.width * share), int(image.height * share)), Image.Resampling.LANCZOS)
