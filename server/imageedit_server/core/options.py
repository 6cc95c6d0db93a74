"""Options that belong to one family of models. A model takes those of its own family or none.

What came after the first hashes of requests has ``repr=False``: see ``HASHED`` in ``core.request``.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenaiOptions:
    """OpenAI's own words; empty leaves the choice to the vendor."""

    family: Literal["openai"] = "openai"

    quality: str = ""
    background: str = ""
    output_format: str = ""
    output_compression: int | None = None
    input_fidelity: str = ""
    partial_images: int = 0
    moderation: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedreamOptions:
    """``quality`` is BASIC (2K) or HIGH (4K)."""

    family: Literal["seedream"] = "seedream"

    quality: str = "BASIC"


@dataclass(frozen=True, kw_only=True, slots=True)
class IdeogramOptions:
    """``rendering_speed`` is TURBO, BALANCED or QUALITY; ``style`` is AUTO, REALISTIC or FICTION."""

    family: Literal["ideogram"] = "ideogram"

    rendering_speed: str = "BALANCED"
    style: str = "AUTO"
    expand_prompt: bool = True
    seed: int | None = None


Options = OpenaiOptions | SeedreamOptions | IdeogramOptions
