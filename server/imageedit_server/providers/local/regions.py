"""Parts of a picture that its colors give away: skin, shadows, highlights. Each is a soft mask (L)."""

from math import exp

from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from imageedit_server.providers.local.plan import Region

_SKIN_HUE = (13.0, 12.0)
_OWN_SPREAD = 6.0
"""Middle and spread of the hue of human skin, in 255ths of the circle: alike in light and in dark people."""

_LOOK_SIDE = 512
_LEAST_SHARE = 0.005


def find(image: Image.Image, region: Region) -> Image.Image | None:
    """Return where ``region`` is in an RGB picture; None where there is none of it."""
    if region is Region.SKIN:
        return _skin(image)
    tones = image.convert("L").filter(ImageFilter.GaussianBlur(_share(image, 0.004)))
    if region is Region.SHADOWS:
        return tones.point([round(255 * _falling(level, 40, 130)) for level in range(256)])
    return tones.point([round(255 * _rising(level, 130, 225)) for level in range(256)])


def _skin(image: Image.Image) -> Image.Image | None:
    """Find skin twice: by the hues of skin in general, then by the commonest of them here."""
    small = image.copy()
    small.thumbnail((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.BOX)
    hue, saturation, value = small.filter(ImageFilter.GaussianBlur(1)).convert("HSV").split()
    likely = ImageChops.multiply(
        saturation.point([round(255 * _rising(s, 22, 50) * _falling(s, 185, 215)) for s in range(256)]),
        value.point([round(255 * _rising(v, 45, 85)) for v in range(256)]),
    )
    guess = ImageChops.multiply(likely, _around(hue, *_SKIN_HUE))
    if ImageStat.Stat(guess).mean[0] / 255 < _LEAST_SHARE:
        return None
    own = ImageChops.multiply(likely, _around(hue, _commonest(hue, guess), _OWN_SPREAD))
    return _massed(own).resize(image.size, Image.Resampling.BICUBIC)


def _commonest(hue: Image.Image, where: Image.Image) -> float:
    """Return the peak of the hues under a mask, within those of skin."""
    counts = hue.histogram(where.point([255 if level > 100 else 0 for level in range(256)]))
    middle, spread = round(_SKIN_HUE[0]), round(_SKIN_HUE[1])
    peak = max(
        range(middle - spread, middle + spread),
        key=lambda at: sum(counts[(at + d) % 256] for d in range(-3, 4)),
    )
    return float(peak)


def _massed(mask: Image.Image) -> Image.Image:
    """Keep what stands in masses, close the gaps that shine and wrinkles leave, and soften the rim."""
    mask = mask.filter(ImageFilter.MedianFilter(5))
    reach = round(_share(mask, 0.05))
    density = ImageOps.expand(mask, 3 * reach).filter(ImageFilter.GaussianBlur(reach))
    density = ImageOps.crop(density, 3 * reach)
    most = max(40, int(density.getextrema()[1]))  # type: ignore[arg-type]
    massive = density.point([round(255 * _rising(level, 0.25 * most, 0.5 * most)) for level in range(256)])
    closed = mask.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.MinFilter(7))
    return ImageChops.multiply(closed, massive).filter(ImageFilter.GaussianBlur(_share(mask, 0.006)))


def _around(hue: Image.Image, middle: float, spread: float) -> Image.Image:
    """Return how near each hue is to ``middle``, round the circle."""
    away = [min(abs(level - middle), 256 - abs(level - middle)) / spread for level in range(256)]
    return hue.point([round(255 * exp(-(distance**4))) for distance in away])


def _rising(level: float, start: float, end: float) -> float:
    """0 up to ``start``, 1 from ``end`` on, smooth between."""
    share = min(1.0, max(0.0, (level - start) / (end - start)))
    return share * share * (3 - 2 * share)


def _falling(level: float, start: float, end: float) -> float:
    return 1 - _rising(level, start, end)


def _share(image: Image.Image, share: float) -> float:
    return max(image.size) * share
