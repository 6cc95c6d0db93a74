"""What a caller asks for: one noun for the three ways to create a task, before and after it was checked.

    Asked      what is the same before and after
     ├─ Draft    as it came: pictures named in the caller's ways, converted but not checked
     └─ Request  as it is stored with the task: pictures found, model and provider chosen

The fields carry the proto's own names, so that a refusal names what the caller wrote.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

from imageedit_server.core.image import Image
from imageedit_server.core.options import Options

DEFAULT_TIMEOUT = timedelta(minutes=15)
MIN_TIMEOUT = timedelta(seconds=1)
MAX_TIMEOUT = timedelta(hours=24)


class Kind(StrEnum):
    """Which call created the task."""

    EDIT_IMAGE = "EDIT_IMAGE"
    MODEL_EDIT = "MODEL_EDIT"
    DEFAULT_MODEL = "DEFAULT_MODEL"


class OnUnknown(StrEnum):
    """What to do when nobody knows whether the vendor took the paid call."""

    FAIL = "FAIL"
    RESUBMIT = "RESUBMIT"


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyProfile:
    """The person of a default model. 0 and empty mean not given."""

    gender: str = ""
    height_cm: float = 0
    weight_kg: float = 0
    age: int = 0
    skin_color: str = ""
    body_type: str = ""


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
class Asked:
    """What a draft and its request have in common.

    ``model`` is empty in a draft that leaves the choice to the server; ``size`` may be empty in both.
    """

    kind: Kind
    request_id: str = ""
    user_id: str = ""
    model: str = ""
    prompt: str = ""
    n: int = 1
    size: str = ""
    options: Options | None = None
    on_unknown: OnUnknown = OnUnknown.FAIL
    labels: dict[str, str] = field(default_factory=dict)
    base_model_task_id: str = ""
    angle: str = ""
    body_profile: BodyProfile | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft(Asked):
    """A request to create a task, converted but not checked."""

    images: tuple[Source, ...] = ()
    mask: Source = None
    has_mask: bool = False
    reference_images: tuple[Source, ...] = ()
    timeout: timedelta = DEFAULT_TIMEOUT
    validate_only: bool = False

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

        Equal for requests that mean the same: over the parsed fields, with defaults filled in. It is stored,
        so it must come out the same in every later version: see ``HASHED``.
        """
        normal: dict[str, object] = {
            "request_id": "",
            "size": self.size or "auto",
            "validate_only": False,
            "images": tuple(map(_without_bytes, self.images)),
            "mask": _without_bytes(self.mask),
            "reference_images": tuple(map(_without_bytes, self.reference_images)),
            "labels": dict(sorted(self.labels.items())),
        }
        meant = ((name, normal[name] if name in normal else getattr(self, name)) for name in HASHED)
        said = [f"{name}={value!r}" for name, value in meant]
        written = ", ".join([*said, *_later(self), *_later_words(self.options)])
        return hashlib.sha256(f"Draft({written})".encode()).hexdigest()


HASHED = (
    *("kind", "request_id", "user_id", "model", "prompt", "images", "mask", "has_mask", "reference_images"),
    *("n", "size", "timeout", "labels", "on_unknown", "validate_only", "options", "base_model_task_id"),
    *("angle", "body_profile"),
)
"""The fields of the first hashes, in their order, which never changes.

A field that came later is written behind them, where it is not its default: a request without it keeps the
hash that it was stored with.
"""


def _later(draft: Draft) -> list[str]:
    """Return the fields that came after the first hashes and say something."""
    unset_later = _unset_later(type(draft))  # type: ignore[arg-type]  # mypy takes __hash__ for its instances'
    later = [(name, getattr(draft, name), unset) for name, unset in unset_later]
    return [f"{name}={value!r}" for name, value, unset in later if value != unset]


@lru_cache
def _unset_later(kind: type[Draft]) -> list[tuple[str, object]]:
    """Return the fields of a draft that came after the first hashes, with their defaults."""
    unset = kind(kind=Kind.EDIT_IMAGE)
    later = sorted({each.name for each in fields(unset)} - set(HASHED))
    return [(name, getattr(unset, name)) for name in later]


def _later_words(options: Options | None) -> list[str]:
    """Return the options that came after the first hashes, which leave them out, and say something."""
    if options is None:
        return []
    later = (
        each for each in fields(options) if not each.repr and getattr(options, each.name) != each.default
    )
    return [f"{options.family}.{each.name}={getattr(options, each.name)!r}" for each in later]


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One input picture of a stored task: an image of this service, or a URL still to be fetched."""

    image: Image | None = None
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request(Asked):
    """What was asked for, as it is stored. Never changes once the task exists.

    ``base_vendor_task_id`` is the vendor's id of the base, for providers that edit only their own.
    """

    provider: str = ""
    images: tuple[Input, ...] = ()
    mask: Input | None = None
    reference_images: tuple[Input, ...] = ()
    base_vendor_task_id: str = ""

    def inputs(self) -> tuple[Input, ...]:
        """Return every input picture."""
        return (*self.images, *((self.mask,) if self.mask else ()), *self.reference_images)

    def input_images(self) -> tuple[Image, ...]:
        """Return the input pictures that are images of this service."""
        return tuple(given.image for given in self.inputs() if given.image)


_ASKED = tuple(each.name for each in fields(Asked))


def request_of(
    draft: Draft,
    *,
    model: str,
    provider: str,
    images: tuple[Input, ...],
    mask: Input | None,
    reference_images: tuple[Input, ...],
) -> Request:
    """Make the request of a draft: all that was ``Asked``, with what was chosen and found."""
    asked = {name: getattr(draft, name) for name in _ASKED}
    asked["model"] = model
    return Request(
        **asked,
        provider=provider,
        images=images,
        mask=mask,
        reference_images=reference_images,
    )


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
