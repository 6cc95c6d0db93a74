"""A PNG that Pillow has opened, checked to its end, as strictly as Pillow's ``verify`` and ``load`` are.

What stands before the pixels Pillow has read by then; what stands behind them it reads here, chunk by chunk
as its ``load`` does. The pixels in between are checked without it, in a fifth of the time.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import dropwhile, takewhile

from isal.isal_zlib import crc32
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from imageedit_server.images.png_pixels import Lines, PixelCheck, lines_of
from imageedit_server.images.structure import Data, Part, png_parts

_LETTERS = re.compile(rb"\w{4}")
_GRAY = {"1": 1, "L;2": 2, "L;4": 4, "L": 8, "I;16B": 16}
_BITS = _GRAY | {"RGB": 24, "RGB;16B": 48, "P;1": 1, "P;2": 2, "P;4": 4, "P": 8}
"""How many bits a pixel without alpha has in the file, by Pillow's name of how it is written."""


def check_checksums(image: PngImageFile, data: Data) -> None:
    """Check the chunks from the pixels on, as ``verify`` does."""
    for part in _from_pixels_on(image, data):
        _check_chunk(data, part)


def check_rest(image: PngImageFile, data: Data) -> None:
    """Check a picture without transparency, and read what is told behind its pixels.

    Raises what Pillow might raise, of many kinds.
    """
    _check_palette(image)
    is_pixels, pixels = True, PixelCheck(_lines(image))
    for part in _from_pixels_on(image, data):
        _check_chunk(data, part)
        is_pixels = is_pixels and part.kind == b"IDAT"  # what comes later is no part of them
        if is_pixels:
            with memoryview(data) as whole, whole[part.start + 8 : part.end - 4] as body:
                pixels.take(body)
        else:
            _read(image, part)
    pixels.end()


def _from_pixels_on(image: PngImageFile, data: Data) -> Iterator[Part]:
    """Yield the chunks from the first that has pixels to the last before the end."""
    first = image.tile[0].offset - 8
    parts = dropwhile(lambda part: part.start < first, png_parts(data))
    return takewhile(lambda part: part.kind != b"IEND", parts)


def _check_chunk(data: Data, part: Part) -> None:
    with memoryview(data) as whole, whole[part.start + 4 : part.end - 4] as checked:
        checksum = crc32(checked)
    if checksum != int.from_bytes(data[part.end - 4 : part.end]) or not _LETTERS.fullmatch(part.kind):
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
    assert stream is not None
    assert stream.fp is not None
    stream.fp.seek(part.start + 8)
    with suppress(EOFError, AttributeError):
        stream.call(part.kind, part.start + 8, part.end - part.start - 12)
