"""The models of kie.ai by their families: limits as data, and how each family's ``input`` is written.

The vendor serves ever more models on one endpoint (VENDORS §2.1). Which of them are served here is
configuration; the vendor's name of a model says which family it is of.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import Kind
from imageedit_server.providers.base import Job
from imageedit_server.providers.kie.inputs import Uploaded, character_input, masked_input, seedream_input

MIB = 1024 * 1024
MAX_FILE_BYTES = 10 * MIB
RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9")

SEEDREAM = "seedream/4.5-edit"
CHARACTER_EDIT = "ideogram/character-edit"
PAGE_MODELS = MappingProxyType({name: name for name in (SEEDREAM, CHARACTER_EDIT)})
"""What is served when the configuration names nothing: the models of vendor pages 2 and 4."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """What the models of one family take. ``write`` makes the ``input``.

    ``references_needed`` is the number of references that a request must have. ``has_style`` and
    ``has_nsfw_checker`` say whether the vendor has those fields.
    """

    write: Callable[[Job, Uploaded], dict[str, Any]]
    option_family: str
    max_prompt_chars: int
    kinds: frozenset[Kind] = frozenset({Kind.EDIT_IMAGE})
    max_images: int = 1
    references_needed: int = 0
    mask: MaskUse = MaskUse.NONE
    sizes: tuple[str, ...] = ()
    max_n: int = 1
    has_style: bool = False
    has_nsfw_checker: bool = False


_SEEDREAM_4_5 = Family(
    write=seedream_input,
    option_family="seedream",
    kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
    max_prompt_chars=3000,
    max_images=14,
    sizes=RATIOS,
    has_nsfw_checker=True,
)
_SEEDREAM_5_PRO = replace(_SEEDREAM_4_5, max_prompt_chars=5000, max_images=10)
_SEEDREAM_NEWER = replace(_SEEDREAM_4_5, max_images=10)
"""One that is newer than this table: what each of the known ones takes."""
_CHARACTER_EDIT = Family(
    write=character_input,
    option_family="ideogram",
    max_prompt_chars=5000,
    references_needed=1,
    mask=MaskUse.REQUIRED,
    max_n=4,
    has_style=True,
)
"""Page 4 requires ``reference_image_urls`` and ignores all but the first: exactly one, nothing dropped."""
_IDEOGRAM_EDIT = Family(
    write=masked_input, option_family="ideogram", max_prompt_chars=5000, mask=MaskUse.REQUIRED
)

_FAMILIES = (
    (r"seedream/(4\.5-edit|5-lite-image-to-image)", _SEEDREAM_4_5),
    (r"seedream/5-pro-image-to-image", _SEEDREAM_5_PRO),
    (r"seedream/[a-z0-9.-]+-(edit|image-to-image)", _SEEDREAM_NEWER),
    (r"ideogram/character-edit", _CHARACTER_EDIT),
    (r"ideogram/v3-edit", _IDEOGRAM_EDIT),
)
KNOWN = "seedream/…-edit, seedream/…-image-to-image, ideogram/character-edit and ideogram/v3-edit"


def family_of(vendor_name: str) -> Family | None:
    """Return the family of a model, None for a name that says none that is known here."""
    for pattern, family in _FAMILIES:
        if re.fullmatch(pattern, vendor_name, re.ASCII):
            return family
    return None


def models_of(provider: str, served: Mapping[str, str]) -> list[Model]:
    """Return the models of ``served``, the vendor's name by the public one. All are of known families."""
    return [_model(provider, public, vendor_name) for public, vendor_name in served.items()]


def input_of(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    """Return the ``input`` of a createTask."""
    return served_family(job.model.vendor_name).write(job, uploaded)


def served_family(vendor_name: str) -> Family:
    """Return the family of a model that is served: the settings refuse one of no family."""
    family = family_of(vendor_name)
    assert family is not None
    return family


def _model(provider: str, public: str, vendor_name: str) -> Model:
    family = served_family(vendor_name)
    return Model(
        name=public,
        vendor_name=vendor_name,
        provider=provider,
        kinds=family.kinds,
        option_family=family.option_family,
        max_prompt_chars=family.max_prompt_chars,
        max_images=family.max_images,
        max_reference_images=family.references_needed,
        mask=family.mask,
        sizes=family.sizes,
        max_n=family.max_n,
        max_image_bytes=MAX_FILE_BYTES,
        makes_fit=True,
    )
