"""Pictures made ready for whoever gets them: upright, in a mode and a format that they take, and no larger.

Runs in a worker process.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageChops

from imageedit_server.core.image import EXTENSIONS
from imageedit_server.images.decoding import DEEP, FORMATS, plain
from imageedit_server.pictures.colors import to_srgb
from imageedit_server.pictures.encoding import encoded, saved
from imageedit_server.pictures.reading import Source, alpha_of, read

EditColor = Literal["black", "white"]

EIGHT_BITS = ("1", "L", "LA", "P", "RGB", "RGBA")
"""What every reader takes: of 16 bits of gray many make white, and of CMYK other colors."""

_FORMAT_MODES = {
    "PNG": (*EIGHT_BITS, "I;16"),
    "JPEG": ("L", "RGB"),
    "WEBP": ("RGB", "RGBA"),
}
_WIDER = {
    "L": ("L", "LA", "RGB", "RGBA"),
    "LA": ("LA", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBA": ("RGBA",),
    "CMYK": ("RGB", "RGBA"),
}
"""What a mode can become without a loss, nearest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What is taken of a picture. Of another format it becomes the first of ``media_types``.

    ``modes`` are Pillow's, ``max_bytes`` the most that is taken.
    """

    media_types: tuple[str, ...] = tuple(EXTENSIONS)
    modes: tuple[str, ...] = EIGHT_BITS
    max_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A picture as it is sent, and what was done to it.

    ``turned`` upright, ``converted`` to another format, ``recolored`` from printing colors, with
    ``fewer_bits`` for each channel than it had, ``lowered`` in quality since it would have been too large.
    """

    content: bytes
    media_type: str
    turned: bool = False
    converted: bool = False
    recolored: bool = False
    fewer_bits: bool = False
    lowered: bool = False


def make_ready(content: bytes, taken: Taken) -> Ready:
    """Return an upright picture as it is ``taken``, with the colors and the quality of the source.

    Its quality falls before it is too large. One that is too large at the lowest is returned all the same.
    """
    source = read(content)
    forms = _forms(source, taken)
    for form in forms:
        modes = [mode for mode in _FORMAT_MODES[form] if mode in taken.modes]
        image, profile = _shaped(source, modes)
        made, lowered = encoded(image, form, source, profile=profile, max_bytes=taken.max_bytes)
        if len(made) <= taken.max_bytes:
            break
    return Ready(
        content=made,
        media_type=Image.MIME[form],
        turned=source.turned,
        converted=form != source.form,
        recolored=source.image.mode == "CMYK",
        fewer_bits=source.deep and image.mode not in DEEP,
        lowered=lowered or form != forms[0],
    )


def make_mask_ready(content: bytes, max_bytes: int) -> Ready:
    """Return a mask as an upright PNG with an alpha channel of ``max_bytes``; its own bytes if it is one.

    A mask made anew is black under its alpha, which alone counts, so that it is small.
    """
    source = read(content)
    is_png, has_channel = source.form == "PNG", "A" in source.image.getbands()
    if is_png and has_channel and not source.turned and len(content) <= max_bytes:
        return Ready(content=content, media_type="image/png")
    alpha = alpha_of(source)
    mask = Image.new("RGBA", alpha.size)
    mask.putalpha(alpha)
    return Ready(
        content=saved(mask, "PNG"),
        media_type="image/png",
        turned=source.turned,
        converted=not is_png or not source.turned,
    )


def black_and_white(content: bytes, edit_color: EditColor) -> bytes:
    """Render a mask whose alpha 0 means edit as a gray PNG in which ``edit_color`` does.

    The size stays; alpha between 0 and 255 becomes a gray between the colors.
    """
    keep = alpha_of(read(content))
    return saved(keep if edit_color == "black" else ImageChops.invert(keep), "PNG")


def _forms(source: Source, taken: Taken) -> list[str]:
    """Return the format to send in, and a smaller one for what is too large and cannot lose quality."""
    own = Image.MIME[source.form]
    media_type = own if own in taken.media_types else taken.media_types[0]
    smaller = "image/webp" if source.image.has_transparency_data else "image/jpeg"
    wanted = [media_type, *([smaller] if media_type == "image/png" and smaller in taken.media_types else [])]
    return [form for media_type in wanted for form in FORMATS if Image.MIME[form] == media_type]


def _shaped(source: Source, modes: Sequence[str]) -> tuple[Image.Image, bytes]:
    """Return the picture in one of ``modes``, with the profile that it still needs.

    A profile stays where its kind of pixels does; else the colors are converted through it.
    """
    image = source.image
    if image.mode in modes and "transparency" not in image.info:
        return image, source.profile
    image = plain(image)
    mode = next(mode for mode in _WIDER[image.mode] if mode in modes)
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    colors, profile = image.convert(image.mode.removesuffix("A")), source.profile
    if colors.mode != mode.removesuffix("A"):
        colors, profile = to_srgb(colors, profile), b""
    if mode.endswith("A"):
        colors.putalpha(255 if alpha is None else alpha)
    return colors, profile
