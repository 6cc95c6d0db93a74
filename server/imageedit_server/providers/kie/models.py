"""The models of kie.ai: their limits as data, and the ``input`` that each is sent.

Every field that the model's page documents is sent explicitly, with the page's wire type: the vendor does not
always apply its own defaults (VENDORS §2.1). ``seed`` has no default and is sent only when given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.options import IdeogramOptions, SeedreamOptions
from imageedit_server.core.request import Kind
from imageedit_server.providers.base import Job

MIB = 1024 * 1024
MAX_FILE_BYTES = 10 * MIB
RATIOS = ("1:1", "4:3", "3:4", "16:9", "9:16", "2:3", "3:2", "21:9")

SEEDREAM = "seedream/4.5-edit"
CHARACTER_EDIT = "ideogram/character-edit"

REFERENCES_NEEDED = {CHARACTER_EDIT: 1}
"""Page 4 requires ``reference_image_urls`` and ignores all but the first: exactly one, nothing dropped."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploaded:
    """Where the vendor keeps the inputs of a job."""

    images: tuple[str, ...]
    references: tuple[str, ...] = ()
    mask: str = ""


def models_of(provider: str) -> list[Model]:
    """Return what kie.ai serves, with the limits of its pages."""
    return [
        Model(
            name=SEEDREAM,
            vendor_name=SEEDREAM,
            provider=provider,
            kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
            option_family="seedream",
            max_prompt_chars=3000,
            max_images=14,
            sizes=RATIOS,
            max_image_bytes=MAX_FILE_BYTES,
        ),
        Model(
            name=CHARACTER_EDIT,
            vendor_name=CHARACTER_EDIT,
            provider=provider,
            kinds=frozenset({Kind.EDIT_IMAGE}),
            option_family="ideogram",
            max_prompt_chars=5000,
            max_reference_images=1,
            mask=MaskUse.REQUIRED,
            max_n=4,
            max_image_bytes=MAX_FILE_BYTES,
        ),
    ]


def input_of(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    """Return the ``input`` of a createTask."""
    return _INPUTS[job.model.vendor_name](job, uploaded)


def _seedream(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    options = job.request.options or SeedreamOptions()
    assert isinstance(options, SeedreamOptions)
    return {
        "prompt": job.request.prompt,
        "image_urls": list(uploaded.images),
        "aspect_ratio": job.size,
        "quality": options.quality.lower(),
    }


def _character_edit(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    options = job.request.options or IdeogramOptions()
    assert isinstance(options, IdeogramOptions)
    return {
        "prompt": job.request.prompt,
        "image_url": uploaded.images[0],
        "mask_url": uploaded.mask,
        "reference_image_urls": list(uploaded.references),
        "rendering_speed": options.rendering_speed,
        "style": options.style,
        "expand_prompt": options.expand_prompt,
        "num_images": str(job.request.n),
        **({} if options.seed is None else {"seed": options.seed}),
    }


_INPUTS: dict[str, Callable[[Job, Uploaded], dict[str, Any]]] = {
    SEEDREAM: _seedream,
    CHARACTER_EDIT: _character_edit,
}
