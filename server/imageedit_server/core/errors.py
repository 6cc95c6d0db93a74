"""Why a call is refused, in words that clients switch on (DESIGN §2, Errors).

    Refusal
     ├─ code      the gRPC status it becomes
     ├─ reason    the stable word, one code each
     └─ violations, retry_after

A call that is refused stored nothing and charged nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum


class Code(StrEnum):
    """The gRPC status codes that this service sends, by their canonical names."""

    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    NOT_FOUND = "NOT_FOUND"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    INTERNAL = "INTERNAL"


class Reason(Enum):
    """The stable reason of a refusal; its value is the code that it travels under."""

    def __new__(cls, code: Code) -> "Reason":
        """Give every member a value of its own, since many share a code."""
        member = object.__new__(cls)
        member._value_ = (len(cls.__members__), code)
        return member

    @property
    def code(self) -> Code:
        """The status code of every refusal with this reason."""
        code: Code = self.value[1]
        return code

    INVALID_FIELD = Code.INVALID_ARGUMENT
    UNKNOWN_MODEL = Code.INVALID_ARGUMENT
    OPTION_NOT_SUPPORTED = Code.INVALID_ARGUMENT
    IMAGE_UNDECODABLE = Code.INVALID_ARGUMENT
    IMAGE_TOO_LARGE = Code.INVALID_ARGUMENT
    URL_REFUSED = Code.INVALID_ARGUMENT
    MALFORMED_REQUEST = Code.INVALID_ARGUMENT
    TASK_NOT_FOUND = Code.NOT_FOUND
    IMAGE_NOT_FOUND = Code.NOT_FOUND
    REQUEST_ID_REUSED = Code.FAILED_PRECONDITION
    BASE_MODEL_NOT_READY = Code.FAILED_PRECONDITION
    BASE_MODEL_ELSEWHERE = Code.FAILED_PRECONDITION
    SOURCE_NOT_READY = Code.FAILED_PRECONDITION
    SEQ_OUT_OF_RANGE = Code.OUT_OF_RANGE
    OFFSET_OUT_OF_RANGE = Code.OUT_OF_RANGE
    WATCH_LIMIT = Code.RESOURCE_EXHAUSTED
    SLOW_CONSUMER = Code.RESOURCE_EXHAUSTED
    QUOTA_EXCEEDED = Code.RESOURCE_EXHAUSTED
    STORAGE_FULL = Code.RESOURCE_EXHAUSTED
    CREDENTIALS_MISSING = Code.UNAUTHENTICATED
    CREDENTIALS_INVALID = Code.UNAUTHENTICATED
    NOT_ALLOWED = Code.PERMISSION_DENIED
    DRAINING = Code.UNAVAILABLE
    STORE_BUSY = Code.UNAVAILABLE
    IMAGE_CORRUPT = Code.DATA_LOSS
    INTERNAL_ERROR = Code.INTERNAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Violation:
    """One field that breaks a rule: its proto path (``images[0].url``) and a sentence with the fix."""

    field: str
    description: str


class Refusal(Exception):
    """The call is refused.

    ``message`` is one sentence for people; it never holds a class name, a path, SQL or a secret.
    ``retry_after_seconds`` is set where waiting that long helps.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        violations: Iterable[Violation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds


def invalid(field: str, description: str, reason: Reason = Reason.INVALID_FIELD) -> Refusal:
    """Refuse one field: ``description`` completes the sentence "<field> …"."""
    return refuse_fields([Violation(field=field, description=description)], reason)


def refuse_fields(violations: Iterable[Violation], reason: Reason = Reason.INVALID_FIELD) -> Refusal:
    """Refuse several fields at once, all named in the message."""
    found = tuple(violations)
    message = "; ".join(f"{violation.field} {violation.description}" for violation in found)
    return Refusal(reason, message, violations=found)


def task_not_found() -> Refusal:
    """Answer alike for an unknown, a malformed and a foreign task id (P22)."""
    return Refusal(Reason.TASK_NOT_FOUND, "There is no such task.")


def image_not_found() -> Refusal:
    """Answer alike for an unknown, a malformed and a foreign image (P22)."""
    return Refusal(Reason.IMAGE_NOT_FOUND, "There is no such image.")


class FailureReason(StrEnum):
    """Why a task failed: ``TaskError.reason`` (DESIGN §2)."""

    INSTRUCTION_NOT_UNDERSTOOD = "INSTRUCTION_NOT_UNDERSTOOD"
    CONTENT_REFUSED = "CONTENT_REFUSED"
    PROVIDER_REJECTED = "PROVIDER_REJECTED"
    PROVIDER_CREDENTIALS = "PROVIDER_CREDENTIALS"
    PROVIDER_CREDITS = "PROVIDER_CREDITS"
    PROVIDER_RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    PROVIDER_DISABLED = "PROVIDER_DISABLED"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    PROVIDER_BAD_RESULT = "PROVIDER_BAD_RESULT"
    PROVIDER_LOST_TASK = "PROVIDER_LOST_TASK"
    RESULT_EXPIRED = "RESULT_EXPIRED"
    SUBMIT_OUTCOME_UNKNOWN = "SUBMIT_OUTCOME_UNKNOWN"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    URL_REFUSED = "URL_REFUSED"
    INPUT_FETCH_FAILED = "INPUT_FETCH_FAILED"
    IMAGE_UNDECODABLE = "IMAGE_UNDECODABLE"
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    INVALID_FIELD = "INVALID_FIELD"
