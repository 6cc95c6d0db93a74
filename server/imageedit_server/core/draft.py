"""What a caller asks for, before it is checked: one noun for the three ways to create a task.

The fields carry the proto's own names in ``FIELD_NAMES``, so that a refusal names what the caller wrote.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from imageedit_server.core.options import Options
from imageedit_server.core.task import DEFAULT_TIMEOUT, BodyProfile, Kind, OnUnknown


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that came inline."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Url:
    """A picture to fetch."""

    url: str


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image of this service."""

    image_id: str


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """An output of a finished task."""

    task_id: str
    index: int


Source = Content | Url | ImageRef | TaskOutput | None
"""One input picture as the caller names it; None where no way was chosen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A request to create a task, converted but not checked. ``size`` and ``model`` may be empty."""

    kind: Kind
    request_id: str = ""
    user_id: str = ""
    model: str = ""
    prompt: str = ""
    images: tuple[Source, ...] = ()
    mask: Source = None
    has_mask: bool = False
    reference_images: tuple[Source, ...] = ()
    n: int = 1
    size: str = ""
    timeout: timedelta = DEFAULT_TIMEOUT
    labels: dict[str, str] = field(default_factory=dict)
    on_unknown: OnUnknown = OnUnknown.FAIL
    validate_only: bool = False
    options: Options | None = None
    base_model_task_id: str = ""
    angle: str = ""
    body_profile: BodyProfile | None = None

    def sources(self) -> Iterator[tuple[str, Source]]:
        """Yield every source with its proto path."""
        for index, source in enumerate(self.images):
            yield image_field(self.kind, index), source
        if self.has_mask:
            yield "mask", self.mask
        for index, source in enumerate(self.reference_images):
            yield f"reference_images[{index}]", source

    @property
    def content_bytes(self) -> int:
        """How many bytes came inline, of pictures that are neither stored nor looked at yet."""
        return sum(len(source.data) for _, source in self.sources() if isinstance(source, Content))

    def sha256(self) -> str:
        """Hash what was asked for, so that a repeated request_id can be compared (P3).

        Equal for requests that mean the same: over the parsed fields, with defaults filled in.
        """
        meant = replace(
            self,
            request_id="",
            size=self.size or "auto",
            validate_only=False,
            images=tuple(map(_without_bytes, self.images)),
            mask=_without_bytes(self.mask),
            reference_images=tuple(map(_without_bytes, self.reference_images)),
            labels=dict(sorted(self.labels.items())),
        )
        return hashlib.sha256(repr(meant).encode()).hexdigest()


PROMPT_FIELDS = {
    Kind.EDIT_IMAGE: "prompt",
    Kind.MODEL_EDIT: "edit_instructions",
    Kind.DEFAULT_MODEL: "prompt",
}
"""What the prompt of each kind is called in its request."""


def image_field(kind: Kind, index: int) -> str:
    """Return the proto path of an input picture."""
    return "image" if kind is Kind.DEFAULT_MODEL else f"images[{index}]"


def _without_bytes(source: Source) -> Source:
    """Replace bytes by their digest: what is written out for the hash stays short."""
    return Content(hashlib.sha256(source.data).digest()) if isinstance(source, Content) else source
