"""A model and its limits, as data: what is allowed, before anyone pays."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from imageedit_server.core.image import EXTENSIONS
from imageedit_server.core.request import Kind


class MaskUse(StrEnum):
    """Whether a model takes a mask."""

    NONE = "NONE"
    OPTIONAL = "OPTIONAL"
    REQUIRED = "REQUIRED"


class SubmitSafety(StrEnum):
    """What can be done after a paid call whose outcome is unknown."""

    NATIVE_KEY = "NATIVE_KEY"
    """The vendor takes our attempt key: the same call again is the same work. It is sent again."""
    CALLBACK_CORRELATED = "CALLBACK_CORRELATED"
    """The attempt's token rides in the callback URL: a callback can tell the forgotten vendor id."""
    NONE = "NONE"
    """Nothing: an unknown outcome stays unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An AI model that edits pictures, as one provider serves it.

    ``name`` is public, ``vendor_name`` is what the vendor is told (the same unless configured).
    ``max_prompt_chars`` counts Unicode code points; ``sizes`` holds exact words, ``auto`` and the patterns
    ``WxH`` and ``W:H``, and is empty when no size can be chosen; ``default_size`` is what a request without a
    size gets, empty for the nearest to its first image. ``makes_fit`` says that a picture that is turned
    before it is sent is brought within ``max_image_bytes``, which then counts for what is sent alone.
    ``shutdown_date`` is when the vendor says that it will serve the model no more, None where it does not
    say. ``submit_safety`` is that of the adapter, which the catalog fills in.
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
    makes_fit: bool = False
    media_types: tuple[str, ...] = tuple(EXTENSIONS)
    shutdown_date: date | None = None
    submit_safety: SubmitSafety = SubmitSafety.NONE
