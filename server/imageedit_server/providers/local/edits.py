"""The edit itself, as it runs in a worker process: the plan in, the encoded picture out."""

from collections.abc import Callable

from PIL import Image, ImageChops, ImageFilter

from imageedit_server.core.sizes import AUTO
from imageedit_server.providers.local import geometry, inpaint, regions, tones
from imageedit_server.providers.local.picture import Picture, encode, load, load_mask
from imageedit_server.providers.local.plan import Edited, Operation, Originals, Plan, Region, Step

Change = Callable[[Picture, Step], Picture]

NO_SKIN = 'No skin was found for the clause "{clause}", so it was applied to the whole picture.'
TOO_LARGE = (
    'The clause "{clause}" asks for more pixels than a result may have, so it was made {width}x{height}.'
)
FEWER_BITS = "The picture has 16 bits for each channel; the result has 8."


def edit(originals: Originals, plan: Plan) -> Edited:
    """Carry out ``plan``; the same plan on the same bytes gives the same bytes. Raises ``PictureError``.

    With a mask the picture keeps every pixel outside of it until, last of all, ``size`` crops and scales.
    """
    original = load(originals.image, exact=originals.mask is not None)
    mask = load_mask(originals.mask, original.size) if originals.mask is not None else None
    warnings = [FEWER_BITS] if original.deep else []
    picture = original
    for step in plan.steps:
        picture = _stepped(picture, step, mask, warnings)
    if mask:
        picture = _masked(original, picture, mask)
    if plan.size not in ("", AUTO):
        picture = geometry.fit(picture, plan.size)
    return Edited(content=encode(picture, lossless=mask is not None), warnings=tuple(warnings))


def _stepped(picture: Picture, step: Step, mask: Image.Image | None, warnings: list[str]) -> Picture:
    if step.operation is Operation.ERASE and mask:
        return picture.with_flattened(inpaint.heal(picture.flattened(), mask))
    if step.operation is Operation.SCALE:
        return _scaled(picture, step, warnings)
    changed = _CHANGES[step.operation](picture, step)
    if step.region is None:
        return changed
    where = regions.find(picture.colors, step.region)
    if where is None:
        warnings.append(NO_SKIN.format(clause=step.clause))
        return changed
    return _masked(picture, changed, where)


def _scaled(picture: Picture, step: Step, warnings: list[str]) -> Picture:
    scaled, whole = geometry.scale(picture, step.size)
    if not whole:
        width, height = scaled.size
        warnings.append(TOO_LARGE.format(clause=step.clause, width=width, height=height))
    return scaled


def _masked(before: Picture, after: Picture, where: Image.Image) -> Picture:
    """Take ``after`` where the mask is 255, ``before`` where it is 0, and between a blend."""
    colors = Image.composite(after.colors, before.colors, where)
    if before.alpha is None or after.alpha is None:
        return before.with_colors(colors)
    alpha = Image.composite(after.alpha, before.alpha, where)
    return before.with_flattened(Picture(colors=colors, alpha=alpha, format=before.format).flattened())


def _toned(tone: Callable[[Image.Image, float], Image.Image]) -> Change:
    return lambda picture, step: picture.with_colors(tone(picture.colors, step.amount))


def _tinted(picture: Picture, step: Step) -> Picture:
    return picture.with_colors(tones.tint(picture.colors, step.amount, step.color or (0, 0, 0)))


def _filled(picture: Picture, step: Step) -> Picture:
    return picture.with_flattened(Image.new("RGBA", picture.size, step.color or (0, 0, 0)))


def _blurred(picture: Picture, step: Step) -> Picture:
    """Blur; transparent pixels lend their neighbours no color, and skin keeps its features."""
    if step.region is Region.SKIN:
        return picture.with_colors(_smoothed(picture.colors, step.amount))
    blur = ImageFilter.GaussianBlur(max(0.6, step.amount * 0.02 * max(picture.size)))
    if picture.alpha is None:
        return picture.with_colors(picture.colors.filter(blur))
    return picture.with_flattened(picture.flattened().convert("RGBa").filter(blur).convert("RGBA"))


def _smoothed(image: Image.Image, amount: float) -> Image.Image:
    """Blur small differences alone: pores go, eyes and lips stay."""
    soft = image.filter(ImageFilter.GaussianBlur(max(0.8, (0.004 + 0.008 * amount) * max(image.size))))
    edges = (
        ImageChops.difference(image, soft)
        .convert("L")
        .filter(ImageFilter.GaussianBlur(0.003 * max(image.size)))
    )
    small = edges.point(
        [round(255 * min(1.0, 2 * amount + 0.2) * max(0.0, 1 - level / 40)) for level in range(256)]
    )
    return Image.composite(soft, image, small)


def _sharpened(picture: Picture, step: Step) -> Picture:
    radius = max(0.8, 0.0013 * max(picture.size))
    sharpen = ImageFilter.UnsharpMask(radius, round(200 * step.amount), 2)
    return picture.with_colors(picture.colors.filter(sharpen))


_CHANGES: dict[Operation, Change] = {
    Operation.BRIGHTNESS: _toned(tones.brightness),
    Operation.CONTRAST: _toned(tones.contrast),
    Operation.SATURATION: _toned(tones.saturation),
    Operation.WARMTH: _toned(tones.warmth),
    Operation.FADE: _toned(tones.fade),
    Operation.GRAYSCALE: _toned(tones.grayscale),
    Operation.SEPIA: _toned(tones.sepia),
    Operation.INVERT: _toned(tones.invert),
    Operation.VIGNETTE: _toned(tones.vignette),
    Operation.TINT: _tinted,
    Operation.BLUR: _blurred,
    Operation.SHARPEN: _sharpened,
    Operation.FILL: _filled,
    Operation.FLIP: lambda picture, step: geometry.flip(picture, step.axis),
    Operation.ROTATE: lambda picture, step: geometry.rotate(picture, step.degrees),
    Operation.CROP: lambda picture, step: geometry.fit(picture, step.size),
}
"""Every operation but ERASE, which needs the mask, and SCALE, which may fall short."""
