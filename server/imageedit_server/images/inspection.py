"""What a file's bytes are: the rule that every picture meets before it is stored (P18, P19, F52, F80).

Pure functions for a worker process; Pillow sees nothing that is not PNG, JPEG or WebP by its first bytes
and whole by its structure. Its ``verify`` and its ``load`` each let something pass that the other refuses;
of most PNGs neither is needed (``png_check``).
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from imageedit_server.core.errors import Reason
from imageedit_server.core.image import Transparency
from imageedit_server.images.decoding import as_meant, opened, plain
from imageedit_server.images.orientation import QUARTER_TURNS, UPRIGHT, orientation_told
from imageedit_server.images.png_check import check_checksums, check_rest, has_plain_alpha
from imageedit_server.images.structure import Data, end_of, format_of
from imageedit_server.runtime.workers import JobRefused

_LOSSLESS_FRAME = b"\xff\xc3"
"""How a JPEG begins that libjpeg would decode in full, whatever size Pillow has made room for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What is known of a sound picture, in the words of ``Image``."""

    media_type: str
    width: int
    height: int
    transparency: Transparency
    upright: bool


class InspectionFailed(JobRefused):
    """The picture is refused; ``description`` completes the sentence "<field> …".

    ``reason`` is given by its name.
    """

    def __init__(self, reason: str, description: str) -> None:
        super().__init__(reason, description)
        self.reason = Reason[reason]
        self.description = description


def inspect(picture: Path | Data, *, max_pixels: int) -> Inspection:
    """Check the whole of a file, or of what would be in one, and return what it is.

    Raises ``InspectionFailed`` with IMAGE_TOO_LARGE for more than ``max_pixels``, judged by the header, and
    with IMAGE_UNDECODABLE for all else that is not one sound picture; ``MemoryError`` beyond its allowance.
    """
    with bytes_of(picture) as data:
        return inspect_data(data, max_pixels=max_pixels)


def inspect_data(data: Data, *, max_pixels: int) -> Inspection:
    """Check the whole of ``data``, as ``inspect`` does."""
    name = format_of(data)
    if name is None:
        raise undecodable("is not a PNG, JPEG or WebP picture" if data else "is empty")
    if end_of(name, data) is None:
        raise undecodable("is cut short")
    try:
        return _decode(name, data, max_pixels)
    except (InspectionFailed, MemoryError, ImportError):  # the last says nothing of the picture
        raise
    except Exception as error:  # Pillow raises SyntaxError, ValueError, struct.error and more
        raise undecodable(f"is a broken {_shown(name)} picture") from error


@contextmanager
def bytes_of(picture: Path | Data) -> Iterator[Data]:
    """Give the bytes; those of a file as it lies in memory anyway."""
    if isinstance(picture, bytes | mmap):
        yield picture
    elif not picture.stat().st_size:  # which cannot be mapped
        yield b""
    else:
        with picture.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
            yield data


def _webp_pixels(data: Data) -> int:
    """Return how many pixels the canvas has, 0 if that is not said.

    Pillow allocates the canvas twice before it tells its size.
    """
    match data[12:16]:
        case b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        case _:
            return 0
    return width * height


def _decode(name: str, data: Data, max_pixels: int) -> Inspection:
    if name == "WEBP":
        _check_pixels(_webp_pixels(data), max_pixels)
    with _strict_pillow(), opened(data, name) as image:
        _check_header(image, max_pixels)
        Image.MAX_IMAGE_PIXELS = max_pixels
        if isinstance(image, PngImageFile):
            return _check_png(image, data)
        size = image.size
        if isinstance(image, JpegImageFile) and data.find(_LOSSLESS_FRAME) < 0:
            image.draft(None, (1, 1))  # of each block of 64 one pixel: all that is in the file is read for it
        image.load()
        return _facts(image, name, size, _transparency(image))


def _check_png(image: PngImageFile, data: Data) -> Inspection:
    """Decode only what has transparency of another kind than alpha, which may be told behind the pixels."""
    if has_plain_alpha(image) or not image.has_transparency_data:
        alpha = check_rest(image, data)
        if alpha or not image.has_transparency_data:
            return _facts(image, "PNG", image.size, _opacity(alpha) if alpha else Transparency.NONE)
    else:
        check_checksums(image, data)
    with opened(data, "PNG") as again:
        again.load()
        return _facts(again, "PNG", again.size, _transparency(as_meant(again, data)))


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Let Pillow refuse what it would only warn of or patch up; other warnings are about metadata.

    At first for any number of pixels: Pillow's own refusal does not say how many there are.
    """
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = None, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES = before


def _check_header(image: Image.Image, max_pixels: int) -> None:
    _check_pixels(image.width * image.height, max_pixels)
    frames = getattr(image, "n_frames", 1)
    if frames != 1:
        raise undecodable(f"has {frames} frames; give a picture of one")


def _check_pixels(pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        limit = f"has {pixels} pixels; at most {max_pixels} are allowed"
        raise InspectionFailed(Reason.IMAGE_TOO_LARGE.name, limit)


def _facts(image: Image.Image, name: str, size: tuple[int, int], transparency: Transparency) -> Inspection:
    orientation = orientation_told(image)
    width, height = reversed(size) if orientation in QUARTER_TURNS else size
    return Inspection(
        media_type=Image.MIME[name],
        width=width,
        height=height,
        transparency=transparency,
        upright=orientation == UPRIGHT,
    )


def _transparency(image: Image.Image) -> Transparency:
    """Find transparency as it is shown, whether from a channel, a palette or a colour key."""
    if not image.has_transparency_data:
        return Transparency.NONE
    if "A" not in image.getbands():
        image = plain(image)
    return _opacity(image.getchannel("A"))


def _opacity(alpha: Image.Image) -> Transparency:
    lowest, _ = alpha.getextrema()
    return Transparency.OPAQUE if lowest == 255 else Transparency.TRANSPARENT


def undecodable(description: str) -> InspectionFailed:
    """Return the refusal of a file that is no sound picture."""
    return InspectionFailed(Reason.IMAGE_UNDECODABLE.name, description)


def _shown(name: str) -> str:
    return "WebP" if name == "WEBP" else name
