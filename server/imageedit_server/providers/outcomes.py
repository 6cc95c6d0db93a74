"""What the outcome of a paid call means: the table of PROMISES §2, for every adapter.

A vendor's own codes stay in its adapter; the verdicts they end in are made here, so that the same trouble has
the same reason and the same words at every vendor.
"""

import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Concatenate, ParamSpec, TypeVar

from imageedit_server.core.charge import Billing
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
from imageedit_server.providers.error_codes import Meaning, meaning_of
from imageedit_server.providers.web_pages import CHALLENGED, is_of_the_edge, web_page_words
from imageedit_server.runtime.workers import WorkerDied, Workers, WorkersBroken

__all__ = [
    "BLOCKED",
    "MESSAGES",
    "WORKER_LOST",
    "ambiguous",
    "bare_refusal",
    "is_told",
    "lost",
    "made_ready",
    "meant",
    "not_processed",
    "paid_call_error",
    "parse_retry_after",
    "redact",
    "refusal_of",
    "refused",
    "status_meaning",
    "turned_away",
    "worker_lost",
]

P = ParamSpec("P")
T = TypeVar("T")

REASONS: Mapping[int, FailureReason] = {
    401: FailureReason.PROVIDER_CREDENTIALS,
    403: FailureReason.PROVIDER_CREDENTIALS,
    402: FailureReason.PROVIDER_CREDITS,
}
"""The refusing statuses that say more than that the request was turned away."""

UNDECIDED = frozenset({408, 409, 425, 499})
"""The statuses below 500 that leave it open whether the request had been worked on."""

NOT_SERVED = frozenset({501, 505})
"""The server's errors that say that it does no such thing, or not over this protocol."""

UNREACHED = frozenset({521, 523, 525, 526, 530})
"""What Cloudflare answers when it did not reach the origin; 520, 522 and 524 come after it may have."""

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

BLOCKED = "The provider's edge turned the request away before the provider saw it."
NOT_REACHED = "The provider's edge did not reach the provider."
NOT_HERE = "The provider takes no such call at this address; its base_url or path may be wrong."
MOVED = "The provider sent the request elsewhere, where it is not followed; its base_url may be wrong."

_MESSAGES: Mapping[int, str] = {
    **dict.fromkeys((404, 405, 410, 421, *NOT_SERVED), NOT_HERE),
    **dict.fromkeys(UNREACHED, NOT_REACHED),
}

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

    Total: whatever proves nothing, a success without its id too, is ``Ambiguous``. ``status`` is HTTP's or
    the one in a body; ``code`` the vendor's own (the status when empty), which counts more where
    ``error_codes`` knows it; ``message`` replaces our sentence. ``provider_message`` is redacted here too,
    but only the caller knows its secrets.
    """
    told = code or str(status)
    if meaning := meaning_of(code) or status_meaning(status):
        return meant(meaning, message, code=told, provider_message=provider_message, retry_after=retry_after)
    return ambiguous(
        message or f"The provider answered {status}.",
        code=told,
        provider_message=provider_message,
        vendor_trouble=status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def status_meaning(status: int) -> Meaning | None:
    """Return what ``status`` proves, None where it leaves it open whether something was made.

    Below 500 the vendor turned the request away, but for the few that come from behind its door. A redirect
    that was not followed reached nobody who could have worked.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Meaning(reason=FailureReason.PROVIDER_RATE_LIMITED, later=True)
    if status in UNREACHED:
        return Meaning(reason=FailureReason.PROVIDER_UNAVAILABLE, later=True)
    if status in NOT_SERVED or (300 <= status < 500 and status not in UNDECIDED):
        return Meaning(reason=REASONS.get(status, FailureReason.PROVIDER_REJECTED))
    return None


def bare_refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    always_json: bool = False,
    retry_after: float | None = None,
) -> SubmitError:
    """Return what an answer means that is not in the vendor's form: by its HTTP status and its maker.

    It may be a proxy's, an edge's, or a site's at a wrong address: a web page is told as one. Of a vendor
    that answers ``always_json`` no other 403 can be its own.
    """
    page = web_page_words(body)
    if turned_away(status, headers, body) or (always_json and status == HTTPStatus.FORBIDDEN):
        return _blocked(status, page, retry_after=retry_after)
    message = MOVED if 300 <= status < 400 else _MESSAGES.get(status, "")
    return refusal_of(status, message=message, provider_message=page, retry_after=retry_after)


def turned_away(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the edge before the vendor refused to pass the call on, which says nothing of the key."""
    return CHALLENGED in headers or (status == HTTPStatus.FORBIDDEN and is_of_the_edge(body))


def _blocked(status: int, provider_message: str, *, retry_after: float | None) -> NotProcessed:
    """Say that the edge kept the call to itself: no fault of the key's, and none of the vendor's."""
    return not_processed(
        FailureReason.PROVIDER_UNAVAILABLE,
        BLOCKED,
        code=str(status),
        provider_message=provider_message,
        retry_after=retry_after,
        vendor_trouble=False,
    )


def meant(
    meaning: Meaning,
    message: str = "",
    *,
    code: str = "",
    provider_message: str = "",
    retry_after: float | None = None,
) -> SubmitError:
    """Return the verdict that a vendor's own code stands for."""
    failure = _failure(meaning.reason, message, code, provider_message)
    if meaning.later:
        return NotProcessed(failure, retry_after_seconds=retry_after)
    return Refused(failure, billing=meaning.billing)


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
    reason: FailureReason,
    message: str = "",
    *,
    code: str = "",
    provider_message: str = "",
    billing: Billing = Billing.NOT_CHARGED,
) -> Refused:
    """Say that the vendor will make nothing of it: the task fails with ``reason``."""
    return Refused(_failure(reason, message, code, provider_message), billing=billing)


def not_processed(
    reason: FailureReason,
    message: str = "",
    *,
    code: str = "",
    provider_message: str = "",
    retry_after: float | None = None,
    vendor_trouble: bool = True,
) -> NotProcessed:
    """Say that the vendor did nothing now; ``retry_after`` is in seconds, as the vendor gave it."""
    failure = _failure(reason, message, code, provider_message)
    return NotProcessed(failure, retry_after_seconds=retry_after, vendor_trouble=vendor_trouble)


def ambiguous(
    message: str, *, code: str = "", provider_message: str = "", vendor_trouble: bool = True
) -> Ambiguous:
    """Say that the vendor may or may not have taken the work."""
    failure = _failure(FailureReason.SUBMIT_OUTCOME_UNKNOWN, message, code, provider_message)
    return Ambiguous(failure, vendor_trouble=vendor_trouble)


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
