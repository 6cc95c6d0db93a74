"""A model and its limits, as data: what is allowed, before anyone pays."""

from dataclasses import dataclass
from enum import StrEnum

from imageedit_server.core.image import EXTENSIONS
from imageedit_server.core.request import Kind


class MaskUse(StrEnum):
    """Whether a model takes a mask."""

    NONE = "NONE"
    OPTIONAL = "OPTIONAL"
    REQUIRED = "REQUIRED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An AI model that edits pictures, as one provider serves it.

    ``name`` is public, ``vendor_name`` is what the vendor is told (the same unless configured).
    ``max_prompt_chars`` counts Unicode code points; ``sizes`` holds exact words, ``auto`` and the patterns
    ``WxH`` and ``W:H``, and is empty when no size can be chosen; ``default_size`` is what a request without a
    size gets, empty for the nearest to its first image.
    """

    name: str
    provider: str
    vendor_name: str = ""
    kinds: frozenset[Kind]
    option_family: str = ""
    max_prompt_chars: int
    min_images: int = 1
    max_images: int = 1
    max_reference_images: int = 0
    mask: MaskUse = MaskUse.NONE
    sizes: tuple[str, ...] = ()
    default_size: str = ""
    max_n: int = 1
    max_image_bytes: int
    media_types: tuple[str, ...] = tuple(EXTENSIONS)
