"""The ``input`` of a createTask, as each family of models has it.

Every field that the model's page documents is sent explicitly, with the page's wire type: the vendor does not
always apply its own defaults (VENDORS §2.1). ``seed`` has no default and is sent only when given.
"""

from dataclasses import dataclass
from typing import Any

from imageedit_server.core.options import IdeogramOptions, SeedreamOptions
from imageedit_server.providers.base import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class Uploaded:
    """Where the vendor keeps the inputs of a job."""

    images: tuple[str, ...]
    references: tuple[str, ...] = ()
    mask: str = ""


def seedream_input(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    """Write the input of a ``seedream`` edit."""
    options = job.request.options or SeedreamOptions()
    assert isinstance(options, SeedreamOptions)
    return {
        "prompt": job.request.prompt,
        "image_urls": list(uploaded.images),
        "aspect_ratio": job.size,
        "quality": options.quality.lower(),
    }


def character_input(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    """Write the input of ``ideogram/character-edit``."""
    options = _ideogram_options(job)
    return {
        "prompt": job.request.prompt,
        "image_url": uploaded.images[0],
        "mask_url": uploaded.mask,
        "reference_image_urls": list(uploaded.references),
        "rendering_speed": options.rendering_speed,
        "style": options.style,
        "expand_prompt": options.expand_prompt,
        "num_images": str(job.request.n),
        **_seed(options),
    }


def masked_input(job: Job, uploaded: Uploaded) -> dict[str, Any]:
    """Write the input of ``ideogram/v3-edit``, which has no references, no style and one result."""
    options = _ideogram_options(job)
    return {
        "prompt": job.request.prompt,
        "image_url": uploaded.images[0],
        "mask_url": uploaded.mask,
        "rendering_speed": options.rendering_speed,
        "expand_prompt": options.expand_prompt,
        **_seed(options),
    }


def _ideogram_options(job: Job) -> IdeogramOptions:
    options = job.request.options or IdeogramOptions()
    assert isinstance(options, IdeogramOptions)
    return options


def _seed(options: IdeogramOptions) -> dict[str, int]:
    return {} if options.seed is None else {"seed": options.seed}
