"""What the outcome of a paid call means: the table of PROMISES §2, for every adapter.

A vendor's own codes stay in its adapter; the verdicts they end in are made here, so that the same trouble has
the same reason and the same words at every vendor.
"""

import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Concatenate, ParamSpec, TypeVar

from imageedit_server.core.errors import FailureReason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended
from imageedit_server.outbound.client import NotSent, OutboundError
from imageedit_server.outbound.redaction import redact
from imageedit_server.providers.base import (
    Ambiguous,
    InputImage,
    NotProcessed,
    PrepareError,
    Refused,
    SubmitError,
)
from imageedit_server.runtime.workers import WorkerDied, Workers, WorkersBroken

__all__ = [
    "MESSAGES",
    "REFUSED",
    "WAIT",
    "WORKER_LOST",
    "ambiguous",
    "is_told",
    "lost",
    "made_ready",
    "not_processed",
    "paid_call_error",
    "parse_retry_after",
    "redact",
    "refusal_of",
    "refused",
    "worker_lost",
]

P = ParamSpec("P")
T = TypeVar("T")

REFUSED: Mapping[int, FailureReason] = {
    400: FailureReason.PROVIDER_REJECTED,
    404: FailureReason.PROVIDER_REJECTED,
    413: FailureReason.PROVIDER_REJECTED,
    415: FailureReason.PROVIDER_REJECTED,
    422: FailureReason.PROVIDER_REJECTED,
    401: FailureReason.PROVIDER_CREDENTIALS,
    403: FailureReason.PROVIDER_CREDENTIALS,
    402: FailureReason.PROVIDER_CREDITS,
    433: FailureReason.PROVIDER_CREDITS,
    505: FailureReason.PROVIDER_DISABLED,
}
"""The statuses, of HTTP or in a body, that prove that the vendor did nothing and will not."""

WAIT: Mapping[int, FailureReason] = {
    429: FailureReason.PROVIDER_RATE_LIMITED,
    455: FailureReason.PROVIDER_UNAVAILABLE,
}
"""The statuses that prove that the vendor did nothing now, with the reason if that lasts to the deadline."""

MESSAGES: Mapping[FailureReason, str] = {
    FailureReason.PROVIDER_REJECTED: "The provider refused the request as invalid.",
    FailureReason.PROVIDER_CREDENTIALS: "The provider refused this server's credentials.",
    FailureReason.PROVIDER_CREDITS: "This server's account at the provider has no credits left.",
    FailureReason.PROVIDER_DISABLED: "The provider has switched this feature off.",
    FailureReason.PROVIDER_FAILED: "The provider failed.",
    FailureReason.PROVIDER_RATE_LIMITED: "The provider takes no more requests for now.",
    FailureReason.PROVIDER_UNAVAILABLE: "The provider is not available.",
    FailureReason.CONTENT_REFUSED: "The provider refused the content.",
}

OUT_OF_CREDITS_CODES = frozenset({"insufficient_quota"})
"""Codes that make a status mean no credits: a 429 with one of these does not pass by waiting."""

WORKER_LOST = (WorkerDied, WorkersBroken, Refusal)  # Refusal: the server is about to stop
"""What a worker's job raises that says nothing about its picture."""
WORKER_RETRY_SECONDS = 5.0

MAX_RETRY_AFTER_SECONDS = 1e9
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?", re.ASCII)

_log = logging.getLogger(__name__)


def refusal_of(
    status: int,
    *,
    message: str = "",
    code: str = "",
    provider_message: str = "",
    retry_after: float | None = None,
) -> SubmitError:
    """Return what ``status`` means when it answers a paid call that brought no result.

    Total: a status that is not in the tables, a success without its id among them, is ``Ambiguous``.
    ``status`` is HTTP's or the one in a body; ``code`` the vendor's own (the status when empty); ``message``
    replaces our sentence. ``provider_message`` is redacted here too, but only the caller knows its secrets.
    """
    code = code or str(status)
    if code in OUT_OF_CREDITS_CODES:
        return refused(FailureReason.PROVIDER_CREDITS, message, code=code, provider_message=provider_message)
    if reason := REFUSED.get(status):
        return refused(reason, message, code=code, provider_message=provider_message)
    if reason := WAIT.get(status):
        return not_processed(
            reason, message, code=code, provider_message=provider_message, retry_after=retry_after
        )
    return ambiguous(
        message or f"The provider answered {status}.", code=code, provider_message=provider_message
    )


def paid_call_error(error: OutboundError) -> SubmitError:
    """Return what it means that a paid call brought no reply at all."""
    if isinstance(error, NotSent):
        return not_processed(
            FailureReason.PROVIDER_UNAVAILABLE, f"{MESSAGES[FailureReason.PROVIDER_UNAVAILABLE]} {error}"
        )
    return ambiguous(f"The provider's answer is lost. {error}")


def is_told(answer: Answer) -> bool:
    """Whether an answer says something even where its content does not: by a status that is an error's.

    A body that broke off still has its status; without a head, or with a success, there is nothing.
    """
    return answer.status != NO_HEAD and (answer.ended is Ended.WHOLE or not 200 <= answer.status < 300)


def lost(answer: Answer) -> Ambiguous:
    """Say that an answer came without its head, or not far enough to be read."""
    return ambiguous(f"The provider's answer is lost. {answer.note}".strip())


def refused(
    reason: FailureReason, message: str = "", *, code: str = "", provider_message: str = ""
) -> Refused:
    """Say that the vendor did nothing and will not: the task fails with ``reason``."""
    return Refused(_failure(reason, message, code, provider_message))


def not_processed(
    reason: FailureReason,
    message: str = "",
    *,
    code: str = "",
    provider_message: str = "",
    retry_after: float | None = None,
) -> NotProcessed:
    """Say that the vendor did nothing now; ``retry_after`` is in seconds, as the vendor gave it."""
    failure = _failure(reason, message, code, provider_message)
    return NotProcessed(failure, retry_after_seconds=retry_after)


def ambiguous(message: str, *, code: str = "", provider_message: str = "") -> Ambiguous:
    """Say that the vendor may or may not have taken the work."""
    return Ambiguous(_failure(FailureReason.SUBMIT_OUTCOME_UNKNOWN, message, code, provider_message))


def _failure(reason: FailureReason, message: str, code: str, provider_message: str) -> Failure:
    return Failure(
        reason=reason,
        message=message or MESSAGES.get(reason, MESSAGES[FailureReason.PROVIDER_FAILED]),
        provider_code=redact(code),
        provider_message=redact(provider_message),
    )


async def made_ready(
    workers: Workers,
    given: InputImage,
    function: Callable[Concatenate[bytes, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Let ``function``, in a worker, make an input ready to be sent.

    Raises ``NotProcessed`` when the worker was lost, and ``PrepareError`` when it is the picture: that would
    fail alike each time, whatever Pillow says of it.
    """
    try:
        return await workers.run_on(given.read, function, *args, **kwargs)
    except (PrepareError, NotProcessed):
        raise
    except WORKER_LOST as error:
        raise worker_lost() from error
    except Exception as error:
        _log.exception("a picture could not be made ready")
        raise PrepareError(FailureReason.IMAGE_UNDECODABLE, "A picture cannot be read.") from error


def worker_lost() -> NotProcessed:
    """Say that nothing was done, for no fault of the picture's."""
    message = "The worker process ended before the picture was ready."
    return not_processed(FailureReason.PROVIDER_UNAVAILABLE, message, retry_after=WORKER_RETRY_SECONDS)


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for: a number or an HTTP date, never negative (F40).

    None for no header, garbage and negative numbers; a date that is past is 0. The engine clamps it.
    """
    text = (text or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        date = parsedate_to_datetime(text)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return min(max((aware - now).total_seconds(), 0.0), MAX_RETRY_AFTER_SECONDS)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
