"""Every error that this package raises, and the one table from what gRPC says to what callers catch.

ImageEditError
├── InvalidArgument
├── NotFound
├── FailedPrecondition
│   ├── NotReady               SOURCE_NOT_READY, BASE_MODEL_NOT_READY: watch that task first
│   └── RequestIdReused        REQUEST_ID_REUSED: the key belongs to another request
├── OutOfRange
├── ResourceExhausted
│   └── SlowConsumer           SLOW_CONSUMER: a watch was read too slowly; it can be resumed
├── Unauthenticated
├── PermissionDenied
├── Unavailable
├── DeadlineExceeded
├── DataLoss                   also raised here, for a download whose bytes have another SHA-256
├── Internal
└── TaskFailed                 raised by succeeded(): the calls went well, the task did not
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from imageedit.v1 import task_pb2

from .hints import Hint, answer_hint

M = TypeVar("M", bound=Message)
DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, kw_only=True)
class FieldViolation:
    """One field of the request that was refused."""

    # Path in the proto's words: "images[0].url". Of a file's bytes that were refused, the file's name.
    field: str
    # One sentence: what is wrong and what would be right.
    description: str


class ImageEditError(Exception):
    """A call that the service refused or that did not reach it.

    `code` is the gRPC status, None when no call failed; `reason` the stable word of ErrorInfo, empty when
    the error is the library's own; `retry_after` is in seconds, None when the service named no time;
    `hint` says what most likely keeps the call from the service and mends it, empty when nobody knows;
    `lasting` that whoever tries again hears the same, so that the client gives up at once.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        field_violations: tuple[FieldViolation, ...] = (),
        retry_after: float | None = None,
        hint: str = "",
        lasting: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field_violations = field_violations
        self.retry_after = retry_after
        self.hint = hint
        self.lasting = lasting

    def __str__(self) -> str:
        fields = "; ".join(f"{each.field}: {each.description}" for each in self.field_violations)
        text = fields or self.message or self.reason or (self.code.name if self.code else "")
        return f"{text} ({self.hint})" if self.hint else text


class InvalidArgument(ImageEditError):
    """A field is wrong; field_violations names it. Nothing was stored or charged."""


class NotFound(ImageEditError):
    """The task or image does not exist, or belongs to another tenant."""


class FailedPrecondition(ImageEditError):
    """The request is well formed but cannot be done now."""


class NotReady(FailedPrecondition):
    """A task that was named as input is not finished: watch it first."""


class RequestIdReused(FailedPrecondition):
    """The request_id was used for another request."""


class OutOfRange(ImageEditError):
    """after_seq or offset is beyond the end."""


class ResourceExhausted(ImageEditError):
    """A quota or limit is used up."""


class SlowConsumer(ResourceExhausted):
    """The service closed a watch that was read too slowly."""


class Unauthenticated(ImageEditError):
    """The API key is missing or wrong."""


class PermissionDenied(ImageEditError):
    """The credential does not allow this."""


class Unavailable(ImageEditError):
    """The service could not be reached, or asked to come back later, until the patience was used up."""


class DeadlineExceeded(ImageEditError):
    """The service did not answer in time."""


class DataLoss(ImageEditError):
    """The bytes do not have their SHA-256 and must not be used."""


class Internal(ImageEditError):
    """A defect of the service; the message is an id to report."""


class TaskFailed(ImageEditError):
    """The task ended FAILED or CANCELLED; `task` is its last state."""

    def __init__(self, task: task_pb2.Task) -> None:
        reason = task.error.reason or task_pb2.Task.State.Name(task.state).removeprefix("STATE_")
        super().__init__(task.error.message or f"the task ended {reason}", reason=reason)
        self.task = task


# The empty reason is the row for every other reason of that code.
TABLE: dict[tuple[grpc.StatusCode, str], type[ImageEditError]] = {
    (grpc.StatusCode.INVALID_ARGUMENT, ""): InvalidArgument,
    (grpc.StatusCode.NOT_FOUND, ""): NotFound,
    (grpc.StatusCode.FAILED_PRECONDITION, ""): FailedPrecondition,
    (grpc.StatusCode.FAILED_PRECONDITION, "SOURCE_NOT_READY"): NotReady,
    (grpc.StatusCode.FAILED_PRECONDITION, "BASE_MODEL_NOT_READY"): NotReady,
    (grpc.StatusCode.FAILED_PRECONDITION, "REQUEST_ID_REUSED"): RequestIdReused,
    (grpc.StatusCode.OUT_OF_RANGE, ""): OutOfRange,
    (grpc.StatusCode.RESOURCE_EXHAUSTED, ""): ResourceExhausted,
    (grpc.StatusCode.RESOURCE_EXHAUSTED, "SLOW_CONSUMER"): SlowConsumer,
    (grpc.StatusCode.UNAUTHENTICATED, ""): Unauthenticated,
    (grpc.StatusCode.PERMISSION_DENIED, ""): PermissionDenied,
    (grpc.StatusCode.UNAVAILABLE, ""): Unavailable,
    (grpc.StatusCode.DEADLINE_EXCEEDED, ""): DeadlineExceeded,
    (grpc.StatusCode.DATA_LOSS, ""): DataLoss,
    (grpc.StatusCode.INTERNAL, ""): Internal,
}


def translated(
    error: grpc.RpcError | ImageEditError, connection_hint: Callable[[str], Hint | None] | None = None
) -> ImageEditError:
    """Translates what a stub of either face raised. Never raises: odd details are left out.

    `connection_hint` knows what mends a connection that cannot be made, by gRPC's message.
    """
    if isinstance(error, ImageEditError):
        return error
    call = cast(Any, error)
    code = call.code() or grpc.StatusCode.UNKNOWN
    details = _details(call)
    reason = _detail(details, error_details_pb2.ErrorInfo).reason
    message = call.details() or ""
    kind = TABLE.get((code, reason)) or TABLE.get((code, "")) or ImageEditError
    failure = kind(
        message,
        code=code,
        reason=reason,
        field_violations=_violations(details),
        retry_after=_retry_after(details),
    )
    if not reason:
        _explain(failure, connection_hint)
    failure.__cause__ = error
    return failure


def _explain(failure: ImageEditError, connection_hint: Callable[[str], Hint | None] | None) -> None:
    """Adds what is known of an answer that is not the service's, which has a reason."""
    found = answer_hint(failure.code.name if failure.code else "", failure.message)
    if found is None and connection_hint is not None and failure.code is grpc.StatusCode.UNAVAILABLE:
        found = connection_hint(failure.message)
    if found is not None:
        failure.hint, failure.lasting = found.remedy, found.lasting


def succeeded(task: task_pb2.Task) -> task_pb2.Task:
    """Answers a final task as it is when it succeeded, and raises TaskFailed otherwise."""
    if task.state != task_pb2.Task.STATE_SUCCEEDED:
        raise TaskFailed(task)
    return task


def _details(call: Any) -> status_pb2.Status:
    # Not grpc_status.from_call: its two faces differ, and both raise when a proxy changed the message.
    trailers = dict(call.trailing_metadata() or ())
    try:
        return status_pb2.Status.FromString(trailers.get(DETAILS_KEY, b""))
    except (DecodeError, TypeError):
        return status_pb2.Status()


def _detail(details: status_pb2.Status, kind: type[M]) -> M:
    found = kind()
    for packed in details.details:
        if packed.Is(kind.DESCRIPTOR):
            packed.Unpack(found)
    return found


def _violations(details: status_pb2.Status) -> tuple[FieldViolation, ...]:
    violations = _detail(details, error_details_pb2.BadRequest).field_violations
    return tuple(FieldViolation(field=each.field, description=each.description) for each in violations)


def _retry_after(details: status_pb2.Status) -> float | None:
    info = _detail(details, error_details_pb2.RetryInfo)
    return float(info.retry_delay.ToTimedelta().total_seconds()) if info.HasField("retry_delay") else None
