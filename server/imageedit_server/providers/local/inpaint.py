"""Removal: what is under a hole is guessed from around it, with Pillow alone.

The patch of the surroundings that fits the rim of the hole best gives the texture; a smooth membrane,
stretched over the difference at the rim, gives it the hole's own light. Where no patch fits, the membrane
alone, stretched over the picture itself, is the guess.
"""

from collections.abc import Callable, Iterator
from math import ceil, cos, hypot, pi, sin, sqrt
from typing import Any

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageMath, ImageStat

Box = tuple[int, int, int, int]
Bands = list[Image.Image]

_ANY = [0] + [255] * 255
_MOST_PIXELS = 4_000_000
_MOST_HOLES = 16
_FLOOD_SIDE = 96
_MATCH_SIDE = 56
_DIRECTIONS = 24
_DISTANCES = (1.0, 1.2, 1.5, 2.0, 2.7, 3.6)
_MOST_ERROR = 34.0


def heal(image: Image.Image, hole: Image.Image) -> Image.Image:
    """Return ``image`` (8-bit bands) with every pixel where ``hole`` (L) is not 0 guessed anew."""
    # What was there still shines a pixel or two past a tight hole: that is no evidence of the surroundings.
    unknown = hole.point(_ANY).filter(ImageFilter.MaxFilter(5))
    box = unknown.getbbox()
    if box is None:
        return image
    if _area(box) > _MOST_PIXELS:
        return _heal_smaller(image, hole, ceil(sqrt(_area(box) / _MOST_PIXELS)))
    result = image.copy()
    for part in holes(unknown):
        _heal_part(result, part, unknown)
        unknown = ImageChops.subtract(unknown, part)
    return result


def _heal_part(image: Image.Image, part: Image.Image, unknown: Image.Image) -> None:
    """Guess one hole within ``image``, from nothing that is still unknown."""
    box = part.getbbox()
    if box is None:
        return
    frame = _grown(box, image.size)
    target, gap = image.crop(frame), part.crop(frame)
    known = _rim(gap, unknown.crop(frame), box)
    shift = _best_shift(image, part, unknown, box)
    if shift is None:
        filled = _merged(_membrane(_floats(target), _floats(known)[0]), image.mode)
    else:
        filled = _transplanted(image, target, known, frame, shift)
    image.paste(filled, frame[:2], gap)


def holes(unknown: Image.Image) -> Iterator[Image.Image]:
    """Divide what is unknown (0 or 255) into its separate holes; beyond a few, the rest is one."""
    left = unknown
    scale = max(1, ceil(max(unknown.size) / _FLOOD_SIDE))
    coarse = unknown.reduce(scale).point(_ANY)
    for _ in range(_MOST_HOLES - 1):
        box = coarse.getbbox()
        if box is None:
            return
        start = next(x for x in range(box[0], box[2]) if coarse.getpixel((x, box[1])))
        ImageDraw.floodfill(coarse, (start, box[1]), 128)
        found = coarse.point([255 if level == 128 else 0 for level in range(256)])
        coarse = ImageChops.subtract(coarse, found.point([level // 255 * 128 for level in range(256)]))
        spread = found.resize((found.width * scale, found.height * scale), Image.Resampling.NEAREST)
        part = ImageChops.darker(left, spread.crop((0, 0, *unknown.size)))
        left = ImageChops.subtract(left, part)
        yield part
    if left.getbbox():
        yield left


def _heal_smaller(image: Image.Image, hole: Image.Image, factor: int) -> Image.Image:
    healed = heal(image.reduce(factor), hole.reduce(factor)).resize(image.size, Image.Resampling.BICUBIC)
    return Image.composite(healed, image, hole.point(_ANY))


def _grown(box: Box, size: tuple[int, int]) -> Box:
    left, top, right, bottom = box
    margin = _reach(box) + 2
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(size[0], right + margin),
        min(size[1], bottom + margin),
    )


def _reach(box: Box) -> int:
    """Return how wide the rim is that a hole is filled from."""
    return max(4, min(box[2] - box[0], box[3] - box[1]) // 16)


def _rim(gap: Image.Image, unknown: Image.Image, box: Box) -> Image.Image:
    """Return the known pixels next to a hole (255): what is farther away would only lead it astray."""
    near = gap.filter(ImageFilter.BoxBlur(_reach(box))).point(_ANY)
    return ImageChops.subtract(near, unknown)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


def _moved(box: Box, across: int, down: int) -> Box:
    return box[0] + across, box[1] + down, box[2] + across, box[3] + down


def _best_shift(
    image: Image.Image, part: Image.Image, unknown: Image.Image, box: Box
) -> tuple[int, int] | None:
    """Return how far away the patch lies that fits the hole's rim best; None where none fits."""
    scale = max(1, ceil(max(box[2] - box[0], box[3] - box[1]) / _MATCH_SIDE))
    window = _window(box, image.size)
    small = image.crop(window).reduce(scale)
    gap, closed = (mask.crop(window).reduce(scale).point(_ANY) for mask in (part, unknown))
    rim = ImageChops.subtract(gap.filter(ImageFilter.MaxFilter(9)), closed)
    hole, around = gap.getbbox(), rim.getbbox()
    if hole is None or around is None:
        return None
    around = _joined(hole, around)
    errors = {
        shift: _misfit(small, gap, closed, rim, around, shift)
        for shift in _shifts(hole)
        if _inside(_moved(around, *shift), small.size)
    }
    best = min(errors, key=errors.__getitem__, default=None)
    if best is None or errors[best] > _MOST_ERROR:
        return None
    return best[0] * scale, best[1] * scale


def _window(box: Box, size: tuple[int, int]) -> Box:
    """Return where a patch is looked for."""
    width, height = (
        round((box[2] - box[0]) * _DISTANCES[-1]) + 16,
        round((box[3] - box[1]) * _DISTANCES[-1]) + 16,
    )
    return (
        max(0, box[0] - width),
        max(0, box[1] - height),
        min(size[0], box[2] + width),
        min(size[1], box[3] + height),
    )


def _joined(a: Box, b: Box) -> Box:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _shifts(hole: Box) -> Iterator[tuple[int, int]]:
    width, height = hole[2] - hole[0] + 2, hole[3] - hole[1] + 2
    for distance in _DISTANCES:
        for direction in range(_DIRECTIONS):
            angle = 2 * pi * direction / _DIRECTIONS
            yield round(cos(angle) * distance * width), round(sin(angle) * distance * height)


def _inside(box: Box, size: tuple[int, int]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] and box[3] <= size[1]


def _misfit(
    image: Image.Image,
    gap: Image.Image,
    closed: Image.Image,
    rim: Image.Image,
    around: Box,
    shift: tuple[int, int],
) -> float:
    """Return how badly the patch at ``shift`` would fit: unlike at the rim, or odd within."""
    there = _moved(around, *shift)
    inside, edge = gap.crop(around), rim.crop(around)
    if ImageChops.multiply(closed.crop(there), inside).getbbox():
        return float("inf")
    patch = image.crop(there)
    difference = ImageStat.Stat(ImageChops.subtract(image.crop(around), patch, scale=2, offset=128), edge)
    within, beside = ImageStat.Stat(patch, inside), ImageStat.Stat(patch, edge)
    error = sum(difference.stddev) * 2 + sum(abs(mean - 128) for mean in difference.mean)
    oddness = sum(abs(a - b) for a, b in zip(within.mean, beside.mean, strict=True))
    oddness += sum(max(0.0, a - b) for a, b in zip(within.stddev, beside.stddev, strict=True))
    return (error + oddness) / len(patch.getbands()) + 2 * hypot(*shift) / max(image.size)


def _transplanted(
    image: Image.Image, target: Image.Image, known: Image.Image, frame: Box, shift: tuple[int, int]
) -> Image.Image:
    """Return the shifted surroundings in the light of the hole's rim."""
    there = _moved(frame, *shift)
    within = Image.new("L", image.size, 255).crop(there)
    patches = _floats(image.crop(there))
    light = [_minus(band, patch) for band, patch in zip(_floats(target), patches, strict=True)]
    light = _membrane(light, _floats(ImageChops.darker(known, within))[0])
    return _merged([_plus(patch, change) for patch, change in zip(patches, light, strict=True)], image.mode)


def _membrane(bands: Bands, known: Image.Image) -> Bands:
    """Return ``bands`` (F) with what is not ``known`` (F, 0 to 255) filled smoothly from what is.

    A pyramid: the known pixels are averaged down until nothing is missing, then fill the gaps on the way up.
    """
    if known.getextrema()[0] >= 255:  # type: ignore[operator]
        return bands
    if max(known.size) <= 2:
        weight = max(1e-6, ImageStat.Stat(known).sum[0])
        return [
            Image.new("F", known.size, ImageStat.Stat(_times(band, known)).sum[0] / weight) for band in bands
        ]
    less = known.reduce(2)
    averages = [_over(_times(band, known).reduce(2), less) for band in bands]
    coarse = _membrane(averages, _saturated(less))
    box = (0.0, 0.0, known.width / 2, known.height / 2)
    smooth = [band.resize(known.size, Image.Resampling.BICUBIC, box) for band in coarse]
    return [_mixed(band, other, known) for band, other in zip(bands, smooth, strict=True)]


def _floats(image: Image.Image) -> Bands:
    return [band.convert("F") for band in image.split()]


def _merged(bands: Bands, mode: str) -> Image.Image:
    # F to L cuts the fraction off and clips.
    return Image.merge(mode, [band.point(lambda value: value * 1 + 0.5).convert("L") for band in bands])


def _minus(a: Image.Image, b: Image.Image) -> Image.Image:
    return _computed(lambda of: of["a"] - of["b"], a=a, b=b)


def _plus(a: Image.Image, b: Image.Image) -> Image.Image:
    return _computed(lambda of: of["a"] + of["b"], a=a, b=b)


def _times(a: Image.Image, b: Image.Image) -> Image.Image:
    return _computed(lambda of: of["a"] * of["b"], a=a, b=b)


def _over(a: Image.Image, b: Image.Image) -> Image.Image:
    return _computed(lambda of: of["a"] / of["max"](of["b"], 1e-6), a=a, b=b)


def _saturated(share: Image.Image) -> Image.Image:
    return _computed(lambda of: of["min"](of["a"] * 4, 255), a=share)


def _mixed(a: Image.Image, b: Image.Image, share: Image.Image) -> Image.Image:
    return _computed(lambda of: of["b"] + (of["a"] - of["b"]) * of["w"] / 255, a=a, b=b, w=share)


def _computed(formula: Callable[[dict[str, Any]], Any], **images: Image.Image) -> Image.Image:
    result = ImageMath.lambda_eval(formula, **images)
    assert isinstance(result, Image.Image)
    return result
