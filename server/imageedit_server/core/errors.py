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
    """A field breaks a rule of the contract or of the model. Mend the fields that BadRequest names."""
    UNKNOWN_MODEL = Code.INVALID_ARGUMENT
    """No provider of this server serves that model. Choose one of ListModels."""
    OPTION_NOT_SUPPORTED = Code.INVALID_ARGUMENT
    """The options are those of another family than the model's. Leave them out, or change the model."""
    IMAGE_UNDECODABLE = Code.INVALID_ARGUMENT
    """The bytes are not one whole PNG, JPEG or WebP picture. Send another file."""
    IMAGE_TOO_LARGE = Code.INVALID_ARGUMENT
    """The picture has more bytes or pixels than the server or the model takes. Make it smaller."""
    URL_REFUSED = Code.INVALID_ARGUMENT
    """The URL could lead where the server must not go (P17). Use a public https URL, or an upload."""
    INSTRUCTION_NOT_UNDERSTOOD = Code.INVALID_ARGUMENT
    """``validate_only``: nothing of the prompt would be done. Say it in the words that the message lists."""
    MALFORMED_REQUEST = Code.INVALID_ARGUMENT
    """The message cannot be parsed, or a stream's messages are in the wrong order. Mend the caller."""
    TASK_NOT_FOUND = Code.NOT_FOUND
    """No such task, or it is another tenant's, or forgotten after its time. Nothing to repeat."""
    IMAGE_NOT_FOUND = Code.NOT_FOUND
    """No such image, or it is another tenant's, or gone with its last task. Upload it again."""
    REQUEST_ID_REUSED = Code.FAILED_PRECONDITION
    """The key made a task of another request already. Take a new key; the old task stays as it is."""
    BASE_MODEL_NOT_READY = Code.FAILED_PRECONDITION
    """The base task has no picture yet, or ended without one. Watch it to its end, or take another."""
    BASE_MODEL_ELSEWHERE = Code.FAILED_PRECONDITION
    """The model's provider edits only bases that it made. Take such a base, or another model."""
    SOURCE_NOT_READY = Code.FAILED_PRECONDITION
    """The task whose output is wanted is not finished. Watch it to its end, then repeat."""
    TASK_NOT_FINISHED = Code.FAILED_PRECONDITION
    """Only what is finished can be deleted. Cancel the task first, or wait for its end."""
    IMAGE_IN_USE = Code.FAILED_PRECONDITION
    """A task needs the image. Delete its tasks: the image goes with the last one."""
    SEQ_OUT_OF_RANGE = Code.OUT_OF_RANGE
    """``after_seq`` is negative or beyond the task's last event. Resume with a seq that was received."""
    OFFSET_OUT_OF_RANGE = Code.OUT_OF_RANGE
    """``offset`` is negative or beyond the image's end. Resume with the number of bytes received."""
    WATCH_LIMIT = Code.RESOURCE_EXHAUSTED
    """The connection, the tenant or the server has as many watches as it may. Close one, or connect anew."""
    SLOW_CONSUMER = Code.RESOURCE_EXHAUSTED
    """Nothing was read from the stream for a minute. Read faster, and resume where it broke off."""
    QUOTA_EXCEEDED = Code.RESOURCE_EXHAUSTED
    """A limit of the tenant, an upload or metadata is reached; the message says which. Wait or do less."""
    STORAGE_FULL = Code.RESOURCE_EXHAUSTED
    """The server's disk is full; nothing was stored. Tell the operator; with room it goes on by itself."""
    CREDENTIALS_MISSING = Code.UNAUTHENTICATED
    """The call carries no API key. Send metadata ``authorization: Bearer <key>``."""
    CREDENTIALS_INVALID = Code.UNAUTHENTICATED
    """The API key is unknown, or was taken away during the stream. Get a new one from the operator."""
    NOT_ALLOWED = Code.PERMISSION_DENIED
    """The method is open to no caller. Do not call it."""
    DRAINING = Code.UNAVAILABLE
    """The server stops, maybe for its storage, or a watch is as old as one may be. Repeat, resume."""
    STORE_BUSY = Code.UNAVAILABLE
    """The database took no write in time, or files or memory are short. Repeat after RetryInfo's delay."""
    IMAGE_CORRUPT = Code.DATA_LOSS
    """The stored bytes no longer have their digest. Throw away what was received; tell the operator."""
    INTERNAL_ERROR = Code.INTERNAL
    """A defect of this service. The message is an id: give it to the operator, whose log has the rest."""


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
    """Answer alike for an unknown and a foreign image (P22); an id that is none is INVALID_FIELD."""
    return Refusal(Reason.IMAGE_NOT_FOUND, "There is no such image.")


class FailureReason(StrEnum):
    """Why a task failed: ``TaskError.reason`` (DESIGN §2)."""

    INSTRUCTION_NOT_UNDERSTOOD = "INSTRUCTION_NOT_UNDERSTOOD"
    """``local`` understood no clause of the prompt. Say it in the words that the message lists."""
    CONTENT_REFUSED = "CONTENT_REFUSED"
    """The vendor's moderation refused the prompt or a picture. Change what is asked for."""
    PROVIDER_REJECTED = "PROVIDER_REJECTED"
    """The vendor called the request invalid. Read ``provider_message``, change the request."""
    PROVIDER_CREDENTIALS = "PROVIDER_CREDENTIALS"
    """The vendor refused this server's key. Only the operator can help."""
    PROVIDER_CREDITS = "PROVIDER_CREDITS"
    """The server's account at the vendor is empty. The operator tops it up; then a new task may succeed."""
    PROVIDER_RATE_LIMITED = "PROVIDER_RATE_LIMITED"
    """The vendor took no more requests until the deadline. Try later, or with a longer ``timeout``."""
    PROVIDER_UNAVAILABLE = "PROVIDER_UNAVAILABLE"
    """The vendor was not reached, or not ready, until the deadline. Try later, or another model."""
    PROVIDER_DISABLED = "PROVIDER_DISABLED"
    """The vendor switched the model off, or it left the configuration. Choose another model."""
    PROVIDER_FAILED = "PROVIDER_FAILED"
    """The vendor took the work and failed at it. A new task may succeed; ``billing`` says who paid."""
    PROVIDER_BAD_RESULT = "PROVIDER_BAD_RESULT"
    """What the vendor sent as its result is no usable picture. A new task may succeed, and is paid again."""
    PROVIDER_LOST_TASK = "PROVIDER_LOST_TASK"
    """The vendor does not know the work any more that it accepted. A new task may succeed."""
    RESULT_EXPIRED = "RESULT_EXPIRED"
    """The result was gone before it could be brought home. A new task may succeed, and is paid again."""
    SUBMIT_OUTCOME_UNKNOWN = "SUBMIT_OUTCOME_UNKNOWN"
    """Nobody knows whether the vendor took the paid call (P5). Decide whether to risk paying twice."""
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    """The task's ``timeout`` ran out. Ask for more time; what came afterwards is in ``late_images``."""
    URL_REFUSED = "URL_REFUSED"
    """An input's URL leads to where the server must not go (P17). Upload the picture instead."""
    INPUT_FETCH_FAILED = "INPUT_FETCH_FAILED"
    """An input's URL gave no picture. Look whether it is reachable, or upload the picture."""
    IMAGE_UNDECODABLE = "IMAGE_UNDECODABLE"
    """An input is not one whole PNG, JPEG or WebP picture. Send another file."""
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"
    """An input is larger than the server or the vendor takes. Make it smaller."""
    INVALID_FIELD = "INVALID_FIELD"
    """A rule that only the pictures can show was broken, such as a mask of another size. Mend the request."""
