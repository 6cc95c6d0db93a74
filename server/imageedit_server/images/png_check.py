"""A PNG that Pillow has opened, checked to its end, as strictly as Pillow's ``verify`` and ``load`` are.

What stands before the pixels Pillow has read by then; what stands behind them it reads here, chunk by chunk
as its ``load`` does. The pixels in between are checked without it, in a fifth of the time.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import takewhile

from isal.isal_zlib import crc32
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from imageedit_server.images.png_pixels import Alpha, Lines, PixelCheck, lines_of
from imageedit_server.images.structure import Data, Part, png_parts

_LETTERS = re.compile(rb"\w{4}")
_CHANNELS = {"LA": 2, "RGBA": 4}
_BITS = {"1": 1, "L;2": 2, "L;4": 4, "L": 8, "I;16B": 16, "RGB": 24, "RGB;16B": 48, "LA": 16, "RGBA": 32}
_BITS |= {"P;1": 1, "P;2": 2, "P;4": 4, "P": 8}
"""How many bits a pixel has in the file, by Pillow's name of how it is written."""
_LEAST_WIDTH = 32
"""Of narrower lines there are too many to take them apart one by one."""


def check_checksums(image: PngImageFile, data: Data) -> None:
    """Check the chunks from the pixels on, as ``verify`` does."""
    with memoryview(data) as whole:
        for part in _from_pixels_on(image, data):
            _check_chunk(whole, part)


def has_plain_alpha(image: PngImageFile) -> bool:
    """Whether the pixels have an alpha channel that ``check_rest`` can take out of them."""
    is_wide = image.width >= _LEAST_WIDTH and not image.info.get("interlace")
    return is_wide and image.tile[0].args in _CHANNELS


def check_rest(image: PngImageFile, data: Data) -> Image.Image | None:
    """Check the pixels, and what is behind them, which is read; return their alpha channel where it is plain.

    Raises what Pillow might raise, of many kinds.
    """
    _check_palette(image)
    alpha = Alpha(image.size, _CHANNELS[str(image.tile[0].args)]) if has_plain_alpha(image) else None
    is_pixels, pixels = True, PixelCheck(_lines(image), alpha)
    with memoryview(data) as whole:
        for part in _from_pixels_on(image, data):
            _check_chunk(whole, part)
            is_pixels = is_pixels and part.kind == b"IDAT"  # what comes later is no part of them
            if is_pixels:
                with whole[part.start + 8 : part.end - 4] as body:  # which an error must not keep open
                    pixels.take(body)
            else:
                _read(image, part)
    pixels.end()
    return alpha.image() if alpha else None


def _from_pixels_on(image: PngImageFile, data: Data) -> Iterator[Part]:
    """Yield the chunks from the first that has pixels to the last before the end."""
    parts = png_parts(data, image.tile[0].offset - 8)
    return takewhile(lambda part: part.kind != b"IEND", parts)


def _check_chunk(whole: memoryview, part: Part) -> None:
    """Check what Pillow checks: the checksum, and that the letters are some, or digits."""
    checksum = crc32(whole[part.start + 4 : part.end - 4])
    letters = part.kind.isalnum() or _LETTERS.fullmatch(part.kind)
    if checksum != int.from_bytes(whole[part.end - 4 : part.end]) or not letters:
        raise ValueError(f"is broken in {part.kind!r}")


def _lines(image: PngImageFile) -> list[Lines]:
    _, extents, _, written = image.tile[0]
    if extents != (0, 0, *image.size):
        raise ValueError("is a frame of an animation")
    return lines_of(image.size, _BITS[str(written)], interlaced=bool(image.info.get("interlace")))


def _check_palette(image: PngImageFile) -> None:
    """Let Pillow take the palette, which it would do when it decodes."""
    if image.palette:
        taken = Image.new("P", (1, 1))
        taken.palette = image.palette
        taken.load()


def _read(image: PngImageFile, part: Part) -> None:
    """Read a chunk behind the pixels into ``image.info``; one that Pillow does not know is nothing."""
    stream = image.png
    read = getattr(stream, f"chunk_{part.kind.decode()}", None)
    if read and stream and stream.fp:
        stream.fp.seek(part.start + 8)
        with suppress(EOFError, AttributeError):  # as its ``load`` does
            read(part.start + 8, part.end - part.start - 12)
