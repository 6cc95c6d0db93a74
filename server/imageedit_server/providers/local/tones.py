"""Changes of tone and color: curves and matrices over whole pictures. All take and return RGB."""

from collections.abc import Callable

from PIL import Image, ImageChops, ImageEnhance, ImageOps, ImageStat

from imageedit_server.providers.local.plan import RGB

Curve = Callable[[float], float]

_LUMA = (0.299, 0.587, 0.114)
_WHITE = (255, 255, 255)
_BROWN_INK = (28, 17, 10)
_BROWN = (148, 112, 80)
_OLD_PAPER = (255, 246, 226)


def brightness(image: Image.Image, amount: float) -> Image.Image:
    """Make middle tones about ``amount`` brighter or darker; black and white stay, so nothing is clipped."""
    if amount >= 0:
        power = 1 + 1.5 * amount
        brighter = _curved(image, lambda tone: 1 - (1 - tone) ** power)
        return saturation(brighter, 0.2 * min(amount, 1.0))  # a lifted curve pales the colors
    if amount <= -1:
        return Image.new("RGB", image.size)
    return _curved(image, lambda tone: float(tone ** (1 / (1 + amount))))


def contrast(image: Image.Image, amount: float) -> Image.Image:
    """Push tones away from the picture's middle tone, or towards it."""
    middle = min(0.7, max(0.3, ImageStat.Stat(image.convert("L")).mean[0] / 255))
    if amount < 0:
        return _curved(image, lambda tone: middle + (tone - middle) * (1 + amount))
    power = 1 + amount

    def steeper(tone: float) -> float:
        if tone < middle:
            return float(middle * (tone / middle) ** power)
        return float(1 - (1 - middle) * ((1 - tone) / (1 - middle)) ** power)

    return _curved(image, steeper)


def saturation(image: Image.Image, amount: float) -> Image.Image:
    """Make colors stronger or paler."""
    return ImageEnhance.Color(image).enhance(1 + amount)


def warmth(image: Image.Image, amount: float) -> Image.Image:
    """Shift the white point as warmer or cooler light would, at the same brightness."""
    red, green, blue = 1 + 0.28 * amount, 1 + 0.02 * amount, 1 - 0.42 * amount
    bright = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
    return _banded(image, [_gain(gain / bright) for gain in (red, green, blue)])


def fade(image: Image.Image, amount: float) -> Image.Image:
    """Lift the blacks and pale the colors, like an old print."""
    floor = 0.2 * amount
    return saturation(_curved(image, lambda tone: floor + tone * (0.97 - floor)), -0.35 * amount)


def grayscale(image: Image.Image, amount: float) -> Image.Image:
    """Take the colors out."""
    return Image.blend(image, image.convert("L").convert("RGB"), amount)


def sepia(image: Image.Image, amount: float) -> Image.Image:
    """Give the brown of old prints."""
    print_ = ImageOps.colorize(image.convert("L"), _BROWN_INK, _OLD_PAPER, mid=_BROWN, midpoint=118)
    return Image.blend(image, print_, amount)


def invert(image: Image.Image, amount: float) -> Image.Image:
    """Turn it into its negative."""
    return Image.blend(image, ImageOps.invert(image), amount)


def tint(image: Image.Image, amount: float, color: RGB) -> Image.Image:
    """Color it with ``color``, light and shade kept; below 0 with the opposite color, to take it away."""
    if amount < 0:
        return tint(image, -amount * 0.4, _opposite(color))
    tones = image.convert("L")
    bright = sum(share * part for share, part in zip(_LUMA, color, strict=True))
    middle = min(235, max(20, round(bright)))
    colored = ImageOps.colorize(tones, (0, 0, 0), _WHITE, mid=color, midpoint=middle)
    return Image.blend(image, colored, amount)


def vignette(image: Image.Image, amount: float) -> Image.Image:
    """Darken it towards the corners."""
    ring = Image.radial_gradient("L")  # 0 in the middle, 255 from the edge's middle on
    shade = ring.point(
        [round(255 - 235 * amount * max(0.0, (level / 255 - 0.35) / 0.65) ** 2) for level in range(256)]
    )
    stretched = shade.crop((38, 38, 218, 218)).resize(image.size, Image.Resampling.BICUBIC)
    return ImageChops.multiply(image, Image.merge("RGB", [stretched] * 3))


def _opposite(color: RGB) -> RGB:
    low, high = min(color), max(color)
    red, green, blue = (high + low - part for part in color)
    return red, green, blue


def _gain(factor: float) -> Curve:
    """Multiply; a gain above 1 bends before white, so that light tones keep their detail."""
    if factor <= 1:
        return lambda tone: tone * factor
    return lambda tone: tone + (factor - 1) * tone * min(1.0, 2 * (1 - tone))


def _curved(image: Image.Image, curve: Curve) -> Image.Image:
    return _banded(image, [curve] * 3)


def _banded(image: Image.Image, curves: list[Curve]) -> Image.Image:
    table = [min(255, max(0, round(255 * curve(level / 255)))) for curve in curves for level in range(256)]
    return image.point(table)
