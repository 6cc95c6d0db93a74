"""Which way up a picture is: one rule for what is stored, edited and sent (F85).

The EXIF tag Orientation where it is 2 to 8, else upright; never XMP, which no viewer asks and Pillow does.
So neither ``Image.getexif`` nor ``ImageOps.exif_transpose`` is used; besides, either fails at EXIF that is
broken in another place, and reads all of it.
"""

from binascii import unhexlify
from collections.abc import Iterator
from struct import Struct

from PIL.Image import Image, Transpose

UPRIGHT = 1
QUARTER_TURNS = (5, 6, 7, 8)
"""The orientations of which the width is the stored height."""

_WAYS_UP = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
EXIF_IN_TEXT = "Raw profile type exif"
"""The keyword of a PNG's text that holds EXIF, from before PNG had a chunk for it."""
_METADATA = ("exif", EXIF_IN_TEXT, "xmp", "XML:com.adobe.xmp")

_PREFIX = b"Exif\0\0"
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 0x0112
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
"""The types of a field that are whole numbers, as TIFF 6.0 numbers them; some writers take another than 3."""


def orientation_of(image: Image) -> int:
    """Return 2 to 8 where the picture's EXIF says so, 1 (upright) for all else; decodes the picture.

    A PNG may have its EXIF behind its pixels, or, where it has no other, in a text.
    """
    image.load()
    return orientation_told(image)


def orientation_told(image: Image) -> int:
    """Return what ``orientation_of`` does, by what of the picture has been read by now."""
    return orientation_in(image.info.get("exif") or unhexed(image.info.get(EXIF_IN_TEXT) or ""))


def upright(image: Image) -> Image:
    """Return a picture as people see it, decoded; the picture itself where it is upright.

    One that was turned is without the metadata that would turn it again. Its format is not told any more.
    """
    orientation = orientation_of(image)
    if orientation == UPRIGHT:
        return image
    turned = image.transpose(_WAYS_UP[orientation])
    for key in _METADATA:
        turned.info.pop(key, None)
    return turned


def orientation_in(exif: bytes) -> int:
    """Return what EXIF says, with or without its prefix, as ``orientation_of`` does; it may be broken.

    Nothing but the tag is looked at.
    """
    tiff = exif.removeprefix(_PREFIX).removeprefix(_PREFIX)  # Pillow puts one before what has its own
    order = _BYTE_ORDERS.get(tiff[:4])
    value = next(_orientations(tiff, order), UPRIGHT) if order else UPRIGHT
    return value if value in _WAYS_UP else UPRIGHT


def is_exif(exif: bytes) -> bool:
    """Whether there is a first directory, without which most readers fail."""
    tiff = exif.removeprefix(_PREFIX)
    order = _BYTE_ORDERS.get(tiff[:4])
    return order is not None and 8 <= _number(order, "I", tiff, 4) <= len(tiff) - 2


def unhexed(text: str) -> bytes:
    """Return the EXIF in a PNG's text: a newline, "exif", its length, then hexadecimal lines."""
    digits = "".join(text.split("\n")[3:])
    try:
        return unhexlify(digits[: len(digits) // 2 * 2])
    except ValueError:
        return b""


def exif_with(orientation: int) -> bytes:
    """Return EXIF, without its prefix, that says nothing else."""
    return b"MM\0*" + Struct(">IHHHIHHI").pack(8, 1, _ORIENTATION, 3, 1, orientation, 0, 0)


def _orientations(tiff: bytes, order: str) -> Iterator[int]:
    """Yield the whole numbers that the first directory has for the tag, as far as it goes."""
    entry, start = Struct(order + "HHI4s"), _number(order, "I", tiff, 4)
    found = tiff[start + 2 :][: _number(order, "H", tiff, start) * entry.size]
    for tag, kind, values, value in entry.iter_unpack(found[: len(found) // entry.size * entry.size]):
        if tag == _ORIENTATION and kind in _INTEGERS and values == 1:
            yield _number(order, _INTEGERS[kind], value, 0)


def _number(order: str, kind: str, data: bytes, start: int) -> int:
    """Return one number, of zeros where ``data`` ends."""
    number = Struct(order + kind)
    value: int = number.unpack(data[start : start + number.size].ljust(number.size, b"\0"))[0]
    return value
