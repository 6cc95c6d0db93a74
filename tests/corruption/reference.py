"""The rule that the fast checks are held against: Pillow verifies the picture, then decodes all of it."""

import warnings

from PIL import Image

from imageedit_server.core.image import Transparency
from imageedit_server.images.decoding import as_meant, opened, plain
from imageedit_server.images.inspection import Inspection
from imageedit_server.images.orientation import QUARTER_TURNS, UPRIGHT, orientation_of
from imageedit_server.images.structure import end_of


def decoded(name: str, data: bytes, max_pixels: int) -> Inspection | None:
    """What Pillow makes of a picture, None where it refuses it."""
    if end_of(name, data) is None:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(data, name) as image:
                if image.width * image.height > max_pixels or getattr(image, "n_frames", 1) != 1:
                    return None
                image.verify()
            with opened(data, name) as image:
                image.load()
                return _facts(name, as_meant(image, data))
    except Exception:  # noqa: BLE001  Pillow raises many kinds
        return None


def _facts(name: str, image: Image.Image) -> Inspection:
    orientation = orientation_of(image)
    width, height = reversed(image.size) if orientation in QUARTER_TURNS else image.size
    return Inspection(
        media_type=Image.MIME[name],
        width=width,
        height=height,
        transparency=_transparency(image),
        upright=orientation == UPRIGHT,
    )


def _transparency(image: Image.Image) -> Transparency:
    if not image.has_transparency_data:
        return Transparency.NONE
    if "A" not in image.getbands():
        image = plain(image)
    lowest, _ = image.getchannel("A").getextrema()
    return Transparency.OPAQUE if lowest == 255 else Transparency.TRANSPARENT
