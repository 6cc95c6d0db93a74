"""Sizes of the flexible models: any width and height by four rules (VENDORS §3.1), and ratios from them."""

import math

from imageedit_server.core.sizes import Shape
from imageedit_server.providers.openai.rules import (
    FLEXIBLE_MAX_PIXELS,
    FLEXIBLE_MAX_RATIO,
    FLEXIBLE_MAX_SIDE,
    FLEXIBLE_MIN_PIXELS,
    FLEXIBLE_STEP,
)

_WANTED_PIXELS = 1536 * 1024
_STANDARD = {(1, 1): "1024x1024", (3, 2): "1536x1024", (2, 3): "1024x1536"}


def broken_rule(shape: Shape) -> str:
    """Return the rule that ``shape`` breaks, empty when it keeps all; a ratio can only be too long."""
    long_side, short_side = max(shape.width, shape.height), min(shape.width, shape.height)
    if long_side > FLEXIBLE_MAX_RATIO * short_side:
        return f"must be between 1:{FLEXIBLE_MAX_RATIO} and {FLEXIBLE_MAX_RATIO}:1"
    if shape.is_ratio:
        return ""
    if shape.width % FLEXIBLE_STEP or shape.height % FLEXIBLE_STEP:
        return f"must have a width and a height that are divisible by {FLEXIBLE_STEP}"
    if long_side > FLEXIBLE_MAX_SIDE or shape.width * shape.height > FLEXIBLE_MAX_PIXELS:
        most = f"at most {FLEXIBLE_MAX_PIXELS} pixels, as 3840x2160 has"
        return f"must have no side above {FLEXIBLE_MAX_SIDE} and {most}"
    if shape.width * shape.height < FLEXIBLE_MIN_PIXELS:
        return f"must have at least {FLEXIBLE_MIN_PIXELS} pixels, as 1024x640 has"
    return ""


def pixels_of(ratio: Shape) -> str:
    """Return a size of exactly this ratio: a standard one, or the one nearest to 1.5 megapixels."""
    divisor = math.gcd(ratio.width, ratio.height)
    width, height = ratio.width // divisor, ratio.height // divisor
    if standard := _STANDARD.get((width, height)):
        return standard
    unit = FLEXIBLE_STEP**2 * width * height
    scale = max(1, round(math.sqrt(_WANTED_PIXELS / unit))) * FLEXIBLE_STEP
    return f"{width * scale}x{height * scale}"
