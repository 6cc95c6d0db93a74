"""What a vendor made otherwise than it was asked, in numbers: a warning of the task, since it is paid for."""

from collections.abc import Iterator, Sequence

from imageedit_server.core.image import Image
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Request
from imageedit_server.core.sizes import Shape, parse_size

MAX_RATIO_ERROR = 0.03
"""Vendors round the sides of a ratio to what their models draw in, up to multiples of 64 pixels."""


def deviations(request: Request, size: str, images: Sequence[Image]) -> tuple[str, ...]:
    """Return a sentence for the number of ``images``, and for each that has another shape or type.

    ``size`` is what the vendor was asked for, empty or ``auto`` where it was left to it.
    """
    return tuple(dict.fromkeys((*_of_count(request.n, len(images)), *_of_pictures(request, size, images))))


def _of_count(asked: int, got: int) -> Iterator[str]:
    if asked != got:
        pictures, were = "picture" if got == 1 else "pictures", "was" if asked == 1 else "were"
        yield f"The provider sent {got} {pictures} where {asked} {were} asked for."


def _of_pictures(request: Request, size: str, images: Sequence[Image]) -> Iterator[str]:
    shape = parse_size(size)
    media_type = _media_type(request)
    asked = " ".join(filter(None, (size if shape else "", _type_name(media_type))))
    for image in images:
        if (shape and not _has_shape(image, shape)) or media_type not in ("", image.media_type):
            yield f"Asked {asked}, got {image.width}x{image.height} {_type_name(image.media_type)}."


def _media_type(request: Request) -> str:
    """Return what was asked for, empty where it was left to the vendor."""
    options = request.options
    named = options.output_format if isinstance(options, OpenaiOptions) else ""
    return f"image/{named}" if named else ""


def _type_name(media_type: str) -> str:
    return media_type.removeprefix("image/").upper().replace("WEBP", "WebP")


def _has_shape(image: Image, asked: Shape) -> bool:
    if not asked.is_ratio:
        return (image.width, image.height) == (asked.width, asked.height)
    error = abs(image.width * asked.height - image.height * asked.width)
    is_a_pixel = error <= max(asked.width, asked.height)
    return is_a_pixel or error <= MAX_RATIO_ERROR * image.height * asked.width
