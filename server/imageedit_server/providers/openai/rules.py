"""What each family of models takes, as data: vendor pages 1 and 3, VENDORS §3.1, §3.5 and §4.

A rule set is chosen by configuration, since one path serves them all. Within ``gpt-image`` the vendor's name
of a model says which family it is of; a name that is not known is newer than this table and is taken for one
that takes what any of the newest does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Literal

from imageedit_server.core.image import EXTENSIONS
from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, AUTO

KIB = 1024
MIB = 1024 * KIB

RELAY: Literal["relay"] = "relay"
DALL_E_2: Literal["dall-e-2"] = "dall-e-2"
GPT_IMAGE: Literal["gpt-image"] = "gpt-image"
RuleSetName = Literal["relay", "dall-e-2", "gpt-image"]

MAX_N = 10
FLEXIBLE_STEP = 16
FLEXIBLE_MAX_SIDE = 3840
FLEXIBLE_MIN_PIXELS = 655_360
FLEXIBLE_MAX_PIXELS = 3840 * 2160
FLEXIBLE_MAX_RATIO = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a family of models takes. What is not said here is not taken.

    ``words`` holds the values of each option of ``openai`` that is a word. ``max_mask_bytes`` and
    ``max_image_bytes`` are the largest that is taken.
    """

    max_prompt_chars: int = 32_000
    max_images: int = 16
    max_image_bytes: int = 20 * MIB
    """The house takes no larger picture by default; the vendor would (50 MB)."""
    max_mask_bytes: int = 4 * MIB - 1
    media_types: tuple[str, ...] = tuple(EXTENSIONS)
    """What the vendor takes. Another format of ours is converted to the first of them."""
    modes: tuple[str, ...] = ("L", "LA", "RGB", "RGBA")
    """How pixels may be, in Pillow's words; another mode is converted to one of these."""
    square: bool = False
    """The image must be as wide as it is high."""
    alpha_or_mask: bool = False
    """Without a mask the image's own transparency is the mask, so it must have some."""
    sizes: tuple[str, ...]
    flexible: bool = False
    """Pixel sizes beyond the listed ones keep the rules of ``sizes.py``."""
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unsent_words: frozenset[str] = frozenset()
    """Options whose only value is the default, for which the vendor has no field."""
    compression: bool = False
    max_partial_images: int = 0
    response_format: bool = False
    user: bool = False
    shutdown_date: date | None = None
    """When the vendor says that it will serve the family no more."""


_RELAY = Rules(sizes=(ANY_PIXELS,), response_format=True)

_DALL_E_2 = Rules(
    max_prompt_chars=1000,
    max_images=1,
    max_image_bytes=4 * MIB - 1,
    media_types=("image/png",),
    modes=("L", "LA", "RGBA"),
    square=True,
    alpha_or_mask=True,
    sizes=("256x256", "512x512", "1024x1024"),
    words={"quality": ("standard",)},
    unsent_words=frozenset({"quality"}),
    response_format=True,
    user=True,
)

_STANDARD_SIZES = (AUTO, "1024x1024", "1536x1024", "1024x1536")
_QUALITIES = ("auto", "low", "medium", "high")

_GPT_IMAGE_1 = Rules(
    sizes=_STANDARD_SIZES,
    words={
        "quality": _QUALITIES,
        "background": ("auto", "transparent", "opaque"),
        "output_format": ("png", "jpeg", "webp"),
        "input_fidelity": ("low", "high"),
        "moderation": ("auto", "low"),
    },
    compression=True,
    max_partial_images=3,
    user=True,
    shutdown_date=date(2026, 10, 23),
)
_GPT_IMAGE_1_5 = replace(_GPT_IMAGE_1, shutdown_date=date(2026, 12, 1))
_GPT_IMAGE_1_MINI = replace(_GPT_IMAGE_1_5, words={**_GPT_IMAGE_1.words, "input_fidelity": ("low",)})
_GPT_IMAGE_2 = replace(
    _GPT_IMAGE_1,
    sizes=(*_STANDARD_SIZES, ANY_PIXELS, ANY_RATIO),
    flexible=True,
    words={name: words for name, words in _GPT_IMAGE_1.words.items() if name != "input_fidelity"},
    shutdown_date=None,
)
_GPT_IMAGE_2_5 = replace(_GPT_IMAGE_2, words={**_GPT_IMAGE_2.words, "quality": (*_QUALITIES, "xhigh", "max")})

_GPT_IMAGE_FAMILIES = (
    ("gpt-image-1-mini", _GPT_IMAGE_1_MINI),
    ("gpt-image-1", _GPT_IMAGE_1),
    (r"gpt-image-1\.5|chatgpt-image-latest", _GPT_IMAGE_1_5),
    (r"gpt-image-2(\.6-(flare|sunburst))?", _GPT_IMAGE_2),
)
_DATED = r"(-\d{4}-\d{2}-\d{2})?"


def rules_of(rule_set: RuleSetName, vendor_name: str) -> Rules:
    """Return what the model that the vendor calls ``vendor_name`` takes."""
    if rule_set == RELAY:
        return _RELAY
    if rule_set == DALL_E_2:
        return _DALL_E_2
    name = vendor_name.rpartition("/")[2]
    for family, rules in _GPT_IMAGE_FAMILIES:
        if re.fullmatch(f"({family}){_DATED}", name, re.ASCII):
            return rules
    return _GPT_IMAGE_2_5
