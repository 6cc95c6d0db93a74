"""What the tests of the core are made of."""

from typing import Any

from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.model import Model
from imageedit_server.core.request import Input, Kind, Request


def image(**facts: Any) -> Image:
    given: dict[str, Any] = {
        "image_id": f"sha256:{0:064x}",
        "media_type": "image/png",
        "width": 64,
        "height": 48,
        "size_bytes": 1000,
    }
    return Image(**given | facts)


def picture(**facts: Any) -> Input:
    return Input(image=image(**facts))


def mask(**facts: Any) -> Input:
    return picture(**{"transparency": Transparency.TRANSPARENT} | facts)


def request(**fields: Any) -> Request:
    given: dict[str, Any] = {"kind": Kind.EDIT_IMAGE, "prompt": "warmer", "images": (picture(),)}
    return Request(**given | fields)


def model(**limits: Any) -> Model:
    given: dict[str, Any] = {
        "name": "p/m",
        "provider": "p",
        "kinds": frozenset(Kind),
        "max_prompt_chars": 10,
        "max_image_bytes": 1000,
    }
    return Model(**given | limits)
