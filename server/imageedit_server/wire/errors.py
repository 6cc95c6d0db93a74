"""What a refused caller is told: ``google.rpc.Status`` with the details that DESIGN §2 promises."""

import logging
import secrets
from collections.abc import Iterator

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from imageedit_server.core.errors import Code, Reason, Refusal

DOMAIN = "imageedit"

MAX_MESSAGE_BYTES = 768
MAX_VIOLATIONS_BYTES = 1536
"""Bounds of what a refusal tells: given more than 8 KiB of trailers, a client shows an error of its own."""

_log = logging.getLogger(__name__)
_NUMBERS = {code: code_pb2.Code.Value(code.value) for code in Code}


def status_of(refusal: Refusal) -> Status:
    """Return the status with its details, bounded; its code is the number of the gRPC status."""
    message = _shortened(refusal.message)
    return Status(code=_NUMBERS[refusal.reason.code], message=message, details=_details(refusal))


def defect(error: Exception) -> Refusal:
    """Log an error that nobody foresaw under a random id, which is all that its caller is told (P21)."""
    incident = secrets.token_hex(8)
    _log.error("incident %s", incident, exc_info=error, extra={"incident": incident})
    return Refusal(Reason.INTERNAL_ERROR, f"Internal error {incident}; report this id.")


def _shortened(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return message
    return encoded[:MAX_MESSAGE_BYTES].decode(errors="ignore") + "…"


def _details(refusal: Refusal) -> list[Any]:
    details: list[Message] = [ErrorInfo(reason=refusal.reason.name, domain=DOMAIN)]
    if refusal.violations:
        details.append(BadRequest(field_violations=_violations(refusal)))
    if refusal.retry_after_seconds is not None:
        delay = Duration()
        delay.FromMilliseconds(round(refusal.retry_after_seconds * 1000))
        details.append(RetryInfo(retry_delay=delay))
    return [_packed(detail) for detail in details]


def _violations(refusal: Refusal) -> Iterator[BadRequest.FieldViolation]:
    """Yield the first violation, and the next ones as far as there is room."""
    room = MAX_VIOLATIONS_BYTES
    for violation in refusal.violations:
        if room <= 0:
            return
        message = BadRequest.FieldViolation(field=violation.field, description=violation.description)
        room -= message.ByteSize()
        yield message


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
