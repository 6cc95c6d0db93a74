"""What an error of the vendor means for the money: a word of the vendor's first, then the status.

Words come first because a relay's status says little: its own validation leaves as HTTP 500, a spent account
as 429 or 403, and an administrator may remap whatever comes from upstream (VENDORS §3.4, §4).
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.client import BadBody, read_json
from imageedit_server.providers.base import SubmitError
from imageedit_server.providers.outcomes import (
    REFUSED,
    WAIT,
    ambiguous,
    not_processed,
    parse_retry_after,
    redact,
    refusal_of,
    refused,
)

BODY_IS_THE_STATUS = 200
"""A success whose body is an error proves nothing by its status."""
_MAX_REQUEST_ID_CHARS = 256
_ID_NAMES = ("task_id", "taskId", "job_id", "id", "request_id")
_ID = re.compile(r"[\w.:/\-]{1,256}", re.ASCII)
_REQUEST_ID_HEADERS = ("x-request-id", "x-oneapi-request-id", "x-api-request-id")

REFUSALS: Mapping[str, FailureReason] = {
    # Moderation: OpenAI's words, then a relay's own.
    "moderation_blocked": FailureReason.CONTENT_REFUSED,
    "content_policy_violation": FailureReason.CONTENT_REFUSED,
    "image_generation_user_error": FailureReason.CONTENT_REFUSED,
    "sensitive_words_detected": FailureReason.CONTENT_REFUSED,
    "prompt_blocked": FailureReason.CONTENT_REFUSED,
    # Money.
    "insufficient_quota": FailureReason.PROVIDER_CREDITS,
    "billing_hard_limit_reached": FailureReason.PROVIDER_CREDITS,
    "billing_not_active": FailureReason.PROVIDER_CREDITS,
    "insufficient_user_quota": FailureReason.PROVIDER_CREDITS,
    "pre_consume_token_quota_failed": FailureReason.PROVIDER_CREDITS,
    # The key, and what it may do.
    "invalid_api_key": FailureReason.PROVIDER_CREDENTIALS,
    "access_denied": FailureReason.PROVIDER_CREDENTIALS,
    # The request, or the set-up, as it stands.
    "invalid_request": FailureReason.PROVIDER_REJECTED,
    "invalid_request_error": FailureReason.PROVIDER_REJECTED,
    "convert_request_failed": FailureReason.PROVIDER_REJECTED,
    "model_price_error": FailureReason.PROVIDER_REJECTED,
    "model_not_found": FailureReason.PROVIDER_REJECTED,
    "api_not_implemented": FailureReason.PROVIDER_DISABLED,
}
"""Words that prove, whatever the status, that nothing was made and nothing will be."""

_STATUS_WORDS = {"rate_limit_exceeded": 429}

DOUBTS = frozenset(
    {
        "do_request_failed",
        "bad_response",
        "bad_response_body",
        "read_response_body_failed",
        "empty_response",
        "channel:response_time_exceeded",
    }
)
"""Words of a relay that had sent the request on: its upstream may have made and billed the picture."""

RELAY_TROUBLES = ("channel:", "get_channel_failed")
"""How words begin that blame the relay's own upstream accounts, not ours: they may be well again later."""

_SAFETY_SENTENCES = ("safety_violations=", "rejected by the safety system", "result of our safety system")


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorError:
    """An error object, whatever shape it came in. ``words`` are its code and its type."""

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """What the vendor calls it, the most exact first."""
        return tuple(filter(None, (self.code, self.kind)))


def read_error(value: Any) -> VendorError | None:
    """Find the error in a JSON value: OpenAI's object, a bare text, or fields of the value itself."""
    if not isinstance(value, dict):
        return None
    match value.get("error"):
        case dict() as inner if inner:
            return _error(inner)
        case str() as text if text:
            return VendorError(message=text, code=_text(value.get("code")))
    return None


def errors_in(value: Any) -> Iterator[VendorError]:
    """Yield the errors of a success: its own, that of the response in it, and those of its entries."""
    places = [value]
    if isinstance(value, dict):
        places += [value.get("response"), *_listed(value.get("data")), *_listed(value.get("images"))]
    for place in places:
        if found := read_error(place):
            yield found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def named_in(value: Any, secrets: Collection[str]) -> str:
    """Return what a success calls its work: of a task that would have to be polled, empty for none."""
    places = [value, *_listed(value.get("data"))] if isinstance(value, dict) else _listed(value)
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        places.append(value["data"])
    texts = (_text(place.get(name)) for name in _ID_NAMES for place in places if isinstance(place, dict))
    return next((text for text in texts if _ID.fullmatch(text) and text not in secrets), "")


def error_of_body(body: bytes) -> VendorError:
    """Read the body of an error status; what is not JSON says nothing."""
    try:
        return error_of(read_json(body))
    except BadBody:
        return VendorError()


def error_of(value: Any) -> VendorError:
    """Read a JSON value that is known to be an error, such as ``{"description": …, "code": 4}``."""
    return read_error(value) or (_error(value) if isinstance(value, dict) else VendorError())


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """Decides what an error means. ``secrets`` never get into its sentences."""

    secrets: tuple[str, ...] = field(repr=False)

    def verdict(
        self, status: int, error: VendorError, headers: Mapping[str, str], now: datetime
    ) -> SubmitError:
        """Say that nothing was done, that nothing will be done, or that nobody knows.

        ``now`` is when the answer had come.
        """
        status = _status_in(status, error)
        code = error.code or error.kind or str(status)
        said = redact(f"{error.message} [{error.param}]" if error.param else error.message, self.secrets)
        wait = retry_after_seconds(headers, now)
        if any(word in DOUBTS for word in error.words):
            return ambiguous("The provider lost its own provider's answer.", code=code, provider_message=said)
        if reason := _refusal(status, error):
            return refused(reason, _MESSAGES.get(error.code, ""), code=code, provider_message=said)
        if error.code.startswith(RELAY_TROUBLES) and (status in REFUSED or status in WAIT):
            reason = FailureReason.PROVIDER_UNAVAILABLE
            return not_processed(reason, code=code, provider_message=said, retry_after=wait)
        message = "The provider answered with an error." if status == BODY_IS_THE_STATUS else ""
        return refusal_of(status, message=message, code=code, provider_message=said, retry_after=wait)


_MESSAGES = {
    "model_not_found": "The provider does not have this model.",
    "api_not_implemented": "The provider offers no image edits.",
}


def _status_in(status: int, error: VendorError) -> int:
    """A success that holds an error counts by what its code says, where that is a status (PROMISES §2)."""
    if status != BODY_IS_THE_STATUS:
        return status
    if error.code.isascii() and error.code.isdigit():
        return int(error.code[:4])
    return _STATUS_WORDS.get(error.code, status)


def _refusal(status: int, error: VendorError) -> FailureReason | None:
    for word in error.words:
        if (reason := REFUSALS.get(word)) and not _is_vague(word, status):
            return reason
    if 400 <= status < 500 and any(sentence in error.message for sentence in _SAFETY_SENTENCES):
        return FailureReason.CONTENT_REFUSED
    return None


def _is_vague(word: str, status: int) -> bool:
    """Whether ``word`` is only the family that OpenAI puts on nearly every error, so that the status counts.

    401, 403, 404 and 429 have it as their type too, and a 5xx with it proves nothing.
    """
    return word == "invalid_request_error" and status != BODY_IS_THE_STATUS


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the vendor asks to wait, in the order in which its own SDK looks."""
    milliseconds = parse_retry_after(headers.get("retry-after-ms"), now)
    if milliseconds is not None:
        return milliseconds / 1000
    return parse_retry_after(headers.get("retry-after"), now)


def request_id_of(headers: Mapping[str, str]) -> str:
    """Return what the vendor or the relay calls this request, empty when it does not say."""
    found = next(filter(None, map(headers.get, _REQUEST_ID_HEADERS)), "")
    return found if found.isascii() and found.isprintable() and len(found) <= _MAX_REQUEST_ID_CHARS else ""


def _error(fields: Mapping[str, Any]) -> VendorError:
    message = _text(fields.get("message")) or _text(fields.get("description"))
    return VendorError(
        message=message,
        code=_text(fields.get("code")),
        kind=_text(fields.get("type")),
        param=_text(fields.get("param")),
    )


def _text(value: Any) -> str:
    """A word as text: relays give some as numbers, some as null."""
    match value:
        case str():
            return value.strip()
        case bool():
            return ""
        case int():
            return str(value)
    return ""
