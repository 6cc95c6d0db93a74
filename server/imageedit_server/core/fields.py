"""What every request must keep, whatever its model: every violation is found and named by its proto path."""

import math
import re
from collections.abc import Iterator

from imageedit_server.core.errors import Violation
from imageedit_server.core.image import IMAGE_ID, MALFORMED_ID
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions
from imageedit_server.core.request import (
    MAX_TIMEOUT,
    MIN_TIMEOUT,
    PROMPT_FIELDS,
    BodyProfile,
    Content,
    Draft,
    ImageRef,
    Kind,
    Source,
    TaskOutput,
    Url,
)

MAX_PROMPT_CHARS = 32_000
MAX_WORD_CHARS = 128
MAX_USER_ID_CHARS = 64
MAX_LABELS = 16
MAX_LABEL_KEY_BYTES = 63
MAX_LABEL_VALUE_BYTES = 256
MAX_SOURCES = 16
MAX_URL_CHARS = 8192

MODEL_EDIT_SIZES = ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9")
"""The ratios of CreateModelEdit and CreateDefaultModel (vendor page 0)."""

ANGLES = ("front", "side", "back")
GENDERS = ("", "男", "女", "male", "female")

_PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Unicode's categories Cc and Cs."""
_NOT_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_SEED_LIMIT = 2**31


def check_fields(draft: Draft) -> list[Violation]:
    """Return what is wrong with a request whatever its model is."""
    return [
        *_check_request_id(draft.request_id),
        *_check_user_id(draft),
        *_check_prompt(draft),
        *check_word("model", draft.model),
        *check_word("size", draft.size),
        *_check_sources(draft),
        *_check_n(draft.n),
        *_check_timeout(draft),
        *_check_labels(draft.labels),
        *_check_kind(draft),
        *_check_options(draft),
        *_check_body_profile(draft.body_profile),
    ]


def check_text(field: str, text: str, *, max_chars: int, lines: bool = False) -> Iterator[Violation]:
    """Refuse text that is too long, or that a terminal, a log or a database would take otherwise (P27)."""
    if len(text) > max_chars:
        yield _violation(field, f"has {len(text)} characters; at most {max_chars} are allowed")
    if bad := (_NOT_IN_LINES if lines else _CONTROL).search(text):
        yield _violation(field, f"has the control character U+{ord(bad[0]):04X}; remove it")


def check_word(field: str, text: str) -> Iterator[Violation]:
    """Refuse a short text that is too long or not clean."""
    return check_text(field, text, max_chars=MAX_WORD_CHARS)


def _violation(field: str, description: str) -> Violation:
    return Violation(field=field, description=description)


# Fields


def _check_request_id(request_id: str) -> Iterator[Violation]:
    if len(request_id) > MAX_WORD_CHARS or not _PRINTABLE_ASCII.fullmatch(request_id):
        yield _violation("request_id", f"must be at most {MAX_WORD_CHARS} printable ASCII characters")


def _check_user_id(draft: Draft) -> Iterator[Violation]:
    if not draft.user_id and draft.kind is not Kind.EDIT_IMAGE:
        yield _violation("user_id", "is required")
    yield from check_text("user_id", draft.user_id, max_chars=MAX_USER_ID_CHARS)


def _check_prompt(draft: Draft) -> Iterator[Violation]:
    field = PROMPT_FIELDS[draft.kind]
    if not draft.prompt.strip() and draft.kind is not Kind.DEFAULT_MODEL:
        yield _violation(field, "is required")
    yield from check_text(field, draft.prompt, max_chars=MAX_PROMPT_CHARS, lines=True)


def _check_sources(draft: Draft) -> Iterator[Violation]:
    if not draft.images and draft.kind is Kind.EDIT_IMAGE:
        yield _violation("images", "needs at least one picture")
    for name in ("images", "reference_images"):
        count = len(getattr(draft, name))
        if count > MAX_SOURCES:
            yield _violation(name, f"has {count} pictures; at most {MAX_SOURCES} are allowed")
    for field, source in draft.sources():
        yield from _check_source(field, source)


def _check_source(field: str, source: Source) -> Iterator[Violation]:
    match source:
        case None:
            yield _violation(field, "needs content, url, image_id or task_output")
        case Content(data=b""):
            yield _violation(f"{field}.content", "is empty")
        case ImageRef(image_id=""):
            yield _violation(f"{field}.image_id", "is empty")
        case ImageRef(image_id=image_id) if not IMAGE_ID.fullmatch(image_id):
            yield _violation(f"{field}.image_id", MALFORMED_ID)
        case Url(url=url):
            yield from check_text(f"{field}.url", url, max_chars=MAX_URL_CHARS)
        case TaskOutput(task_id=""):
            yield _violation(f"{field}.task_output.task_id", "is required")
        case TaskOutput(index=index) if index < 0:
            yield _violation(f"{field}.task_output.index", "must not be negative")


def _check_n(n: int) -> Iterator[Violation]:
    if n < 1:
        yield _violation("n", f"is {n}; it must be at least 1")


def _check_timeout(draft: Draft) -> Iterator[Violation]:
    if not MIN_TIMEOUT <= draft.timeout <= MAX_TIMEOUT:
        yield _violation("timeout", "must be between 1 second and 24 hours")


def _check_labels(labels: dict[str, str]) -> Iterator[Violation]:
    if len(labels) > MAX_LABELS:
        yield _violation("labels", f"has {len(labels)} entries; at most {MAX_LABELS} are allowed")
    for key, value in labels.items():
        if not 1 <= len(key.encode()) <= MAX_LABEL_KEY_BYTES:
            yield _violation("labels", f"has a key that is not 1 to {MAX_LABEL_KEY_BYTES} bytes long")
        if len(value.encode()) > MAX_LABEL_VALUE_BYTES:
            yield _violation("labels", f"has a value of more than {MAX_LABEL_VALUE_BYTES} bytes")
        yield from check_text("labels", key + value, max_chars=MAX_LABEL_KEY_BYTES + MAX_LABEL_VALUE_BYTES)


def _check_kind(draft: Draft) -> Iterator[Violation]:
    if draft.kind is Kind.MODEL_EDIT and not draft.base_model_task_id:
        yield _violation("base_model_task_id", "is required")
    if draft.kind is Kind.DEFAULT_MODEL and not draft.images:
        yield _violation("image", "is required")
    if draft.kind is Kind.DEFAULT_MODEL and draft.angle not in ANGLES:
        yield _violation("angle", f"must be one of {', '.join(ANGLES)}")
    if draft.kind is not Kind.EDIT_IMAGE and draft.size and draft.size not in MODEL_EDIT_SIZES:
        yield _violation("size", f"must be one of {' '.join(MODEL_EDIT_SIZES)}")
    if draft.kind is Kind.DEFAULT_MODEL and draft.size and not draft.model:
        yield _violation("size", "needs a model; without one the picture stays as it is")


def _check_options(draft: Draft) -> Iterator[Violation]:
    match draft.options:
        case OpenaiOptions() as options:
            yield from _check_openai(options)
        case IdeogramOptions(seed=int(seed)) if not 0 <= seed < _SEED_LIMIT:
            yield _violation("ideogram.seed", f"must be between 0 and {_SEED_LIMIT - 1}")


def _check_openai(options: OpenaiOptions) -> Iterator[Violation]:
    for name in ("quality", "background", "output_format", "input_fidelity", "moderation"):
        yield from check_word(f"openai.{name}", getattr(options, name))
    compression = options.output_compression
    if compression is not None and not 0 <= compression <= 100:
        yield _violation("openai.output_compression", "must be between 0 and 100")
    if not 0 <= options.partial_images <= 3:
        yield _violation("openai.partial_images", "must be between 0 and 3")


def _check_body_profile(profile: BodyProfile | None) -> Iterator[Violation]:
    """The ranges of vendor page 0 (VENDORS §1.3)."""
    if profile is None:
        return
    if profile.gender not in GENDERS:
        yield _violation("body_profile.gender", "must be 男, 女, male or female")
    for name, most in (("height_cm", 300), ("weight_kg", 500), ("age", 150)):
        value = getattr(profile, name)
        if not math.isfinite(value) or not 0 <= value <= most:
            yield _violation(f"body_profile.{name}", f"must be above 0 and at most {most}")
    for name in ("skin_color", "body_type"):
        yield from check_text(f"body_profile.{name}", getattr(profile, name), max_chars=MAX_USER_ID_CHARS)
