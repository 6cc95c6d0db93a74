"""Files read for the eye: decoded, upright, with all that tells how their pixels are meant.

Runs in a worker process, as all of this room that looks at pixels.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from imageedit_server.images.decoding import as_meant, opened, plain
from imageedit_server.images.orientation import QUARTER_TURNS, UPRIGHT, orientation_of, upright
from imageedit_server.images.structure import png_header, webp_parts

_DEEP_BITS = 16
_MOST_IN_A_TABLE = 255
_WHOLE, _HALF_THE_COLUMNS = 0, 1
"""Pillow's numbers of subsampling."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A picture as its file has it, but upright: ``image`` is in the mode in which Pillow reads it.

    ``profile`` is empty where there is none. ``deep`` says that the file has 16 bits for each channel; of
    color Pillow keeps 8. ``jpeg`` is how a JPEG was encoded, in the words of Pillow's ``save``. Nothing else
    that the file tells is kept.
    """

    image: Image.Image
    form: str
    size_bytes: int
    profile: bytes = b""
    deep: bool = False
    turned: bool = False
    lossless: bool = True
    jpeg: Mapping[str, Any] = field(default_factory=dict)


def read(content: bytes) -> Source:
    """Read a PNG, JPEG or WebP. What Pillow raises for one that is broken is of many kinds."""
    with warnings.catch_warnings(action="ignore"), opened(content) as stored:  # they are about metadata
        form = "JPEG" if isinstance(stored, JpegImageFile) else str(stored.format)
        orientation = orientation_of(stored)
        source = Source(
            image=as_meant(upright(stored), content),
            form=form,
            size_bytes=len(content),
            profile=stored.info.get("icc_profile") or b"",
            deep=form == "PNG" and png_header(content)[0] == _DEEP_BITS,
            turned=orientation != UPRIGHT,
            lossless=form == "PNG" or (form == "WEBP" and _is_lossless(content)),
            jpeg=_encoding(stored, orientation) if isinstance(stored, JpegImageFile) else {},
        )
    source.image.info = {key: value for key, value in source.image.info.items() if key == "transparency"}
    return source


def alpha_of(source: Source) -> Image.Image:
    """Return the alpha channel, 255 everywhere if there is none."""
    image = plain(source.image)
    return image.getchannel("A") if "A" in image.getbands() else Image.new("L", image.size, 255)


def _is_lossless(webp: bytes) -> bool:
    return any(part.kind == b"VP8L" for part in webp_parts(webp))


def _encoding(image: JpegImageFile, orientation: int) -> dict[str, Any]:
    """Return how a JPEG was encoded: its quantisation by component, its subsampling, whether in passes.

    A quarter turn turns them as well: what quantised the columns does the rows. Where chroma has half the
    columns, it keeps them all, since Pillow cannot write half the rows.
    """
    first, *others = [image.quantization[layer[3]] for layer in image.layer[:3]]
    tables = [first, *(others[:1] if others[1:] == others[:1] else others)]
    if max(map(max, tables)) > _MOST_IN_A_TABLE:
        return {}
    sampling = _WHOLE if image.mode == "CMYK" else get_sampling(image)
    if orientation in QUARTER_TURNS:
        tables = [[value for column in range(8) for value in table[column::8]] for table in tables]
        sampling = _WHOLE if sampling == _HALF_THE_COLUMNS else sampling
    return {
        "qtables": tables,
        "subsampling": sampling,
        "progressive": bool(image.info.get("progressive")),
    }
