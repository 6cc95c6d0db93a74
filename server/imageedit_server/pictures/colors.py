"""Colors by their profile: what a viewer that knows profiles shows, in sRGB (ICC.1)."""

from io import BytesIO
from itertools import product

from PIL import Image, ImageChops, ImageCms

_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "CMYK": b"CMYK"}
_SPACE_AT = slice(16, 20)
_ROUNDING = 1


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Return a picture in L, RGB or CMYK as RGB whose colors are those of sRGB.

    A profile that cannot be read, or is of another kind of pixels, is ignored, as viewers do.
    """
    if is_of(profile, image.mode):
        try:
            return _converted(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass
    return image.convert("RGB")


def in_color(image: Image.Image, profile: bytes) -> Image.Image:
    """Return RGB or RGBA, made of gray that a profile is of, in sRGB: what is still gray looks as it did."""
    tones = to_srgb(_ramp(), profile).getchannel("G").tobytes()
    return image.point([*tones * 3, *range(256)][: 256 * len(image.getbands())])


def is_of(profile: bytes, mode: str) -> bool:
    """Whether a profile is one of pixels in L, RGB or CMYK."""
    return profile[_SPACE_AT] == _SPACES[mode]


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    change = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB")
    if image.mode == "L":  # tone by tone, so that gray stays without color
        return image.point(list(change.apply(_ramp()).getchannel("G").tobytes())).convert("RGB")
    if image.mode == "RGB" and _is_none(change):
        return image
    return change.apply(image)


def _ramp() -> Image.Image:
    return Image.frombytes("L", (256, 1), bytes(range(256)))


def _is_none(change: ImageCms.ImageCmsTransform) -> bool:
    """Whether a change between profiles changes no color: whatever the one is called, it is sRGB."""
    colors = bytes(sample for color in product(range(0, 256, 17), repeat=3) for sample in color)
    probe = Image.frombytes("RGB", (64, 64), colors)
    difference = ImageChops.difference(probe, change.apply(probe))
    return max(most for _, most in difference.getextrema()) <= _ROUNDING  # type: ignore[misc]
