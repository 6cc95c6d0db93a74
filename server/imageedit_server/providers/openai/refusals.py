"""What an error of the vendor means for the money: a word of the vendor's first, then the status.

Words come first because a relay's status says little: its own validation leaves as HTTP 500, a spent account
as 429 or 403, and an administrator may remap whatever comes from upstream (VENDORS §3.4, §4).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from imageedit_server.core.charge import Billing, worst
from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.answers import Answer
from imageedit_server.outbound.client import BadBody, read_json
from imageedit_server.outbound.redaction import redact
from imageedit_server.providers.base import SubmitError, VendorIds
from imageedit_server.providers.error_codes import Meaning, kind_meaning, meaning_in, meaning_of
from imageedit_server.providers.openai.error_bodies import VendorError, error_of
from imageedit_server.providers.openai.usage import usage_of
from imageedit_server.providers.outcomes import (
    ambiguous,
    bare_refusal,
    meant,
    not_processed,
    parse_retry_after,
    refusal_of,
    status_meaning,
    turned_away,
)
from imageedit_server.providers.refusal_words import lacks_money, refuses_content
from imageedit_server.providers.vendor_ids import ids_in

REDIRECTS = 300
"""Below it a body that is an error proves nothing by its status."""
SERVER_ERROR = 500
WORDS_COUNT = frozenset({400, 403, 406, 418, 422, 424, 451})
"""The refusals that do not say why: 401, 402 and 404 do."""
LOST = "The provider lost its own provider's answer."
_MAX_REQUEST_ID_CHARS = 256
_REQUEST_ID_HEADERS = ("x-request-id", "x-oneapi-request-id", "x-api-request-id")

_FAMILIES = frozenset({"invalid_request_error", "image_generation_user_error"})
"""Types that OpenAI puts on nearly every complaint, 401 and 429 too: the code or the status counts."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Judge:
    """Decides what an error means. ``secrets`` never get into its sentences."""

    secrets: tuple[str, ...] = field(repr=False)

    def of_answer(self, answer: Answer, content: bytes) -> SubmitError:
        """Judge an answer whose status is an error: by its body where that is the vendor's, else bare.

        ``content`` is its body as it was before any coding.
        """
        value = _proper_json(content)
        if value is not None and not turned_away(answer.status, answer.headers, content):
            return self.of_value(answer, value, error_of(value))
        wait = retry_after_seconds(answer.headers, answer.answer_time)
        return bare_refusal(answer.status, answer.headers, content, retry_after=wait)

    def of_value(self, answer: Answer, value: Any, error: VendorError) -> SubmitError:
        """Judge ``error``, which ``value`` holds; the ids in that are kept."""
        verdict = self.verdict(answer.status, error, answer.headers, answer.answer_time)
        verdict.ids, verdict.usage = self.ids_in(value), usage_of(value)
        return verdict

    def ids_in(self, value: Any) -> VendorIds:
        """Return the ids in ``value``, of which none is a secret that was sent back."""
        found = ids_in(value)
        kept = ("" if each in self.secrets else each for each in (found.task_id, found.request_id))
        return VendorIds(task_id=next(kept), request_id=next(kept))

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
            return ambiguous(LOST, code=code, provider_message=said, vendor_trouble=status >= SERVER_ERROR)
        if meaning := _meaning(status, error):
            message = _SENTENCES.get(error.code, "")
            return meant(meaning, message, code=code, provider_message=said, retry_after=wait)
        if error.code.startswith(RELAY_TROUBLES) and status_meaning(status):
            reason = FailureReason.PROVIDER_UNAVAILABLE
            return not_processed(
                reason, code=code, provider_message=said, retry_after=wait, vendor_trouble=False
            )
        message = "The provider answered with an error." if status < REDIRECTS else ""
        return refusal_of(status, message=message, code=code, provider_message=said, retry_after=wait)


_SENTENCES = {
    "model_not_found": "The provider does not have this model.",
    "api_not_implemented": "The provider offers no image edits.",
}


def _proper_json(body: bytes) -> Any:
    try:
        return read_json(body)
    except BadBody:
        return None


def _status_in(status: int, error: VendorError) -> int:
    """A success that holds an error counts by what its code says, where that is a status (PROMISES §2)."""
    if status < REDIRECTS and re.fullmatch("[45][0-9][0-9]", error.code):
        return int(error.code)
    return status


def _meaning(status: int, error: VendorError) -> Meaning | None:
    """Return what the vendor's words prove, with what it tells of the bill; None where the status counts."""
    found = _of_codes(status, error) or _of_sentences(status, error.message)
    if found is None and error.billing is not Billing.NOT_CHARGED:
        found = status_meaning(status)
    return found and replace(found, billing=worst((found.billing, error.billing)))


def _of_codes(status: int, error: VendorError) -> Meaning | None:
    """The code decides; the type only where it names one thing, and a family only where no status does."""
    of_kind = meaning_of(error.kind) if status >= SERVER_ERROR else kind_meaning(error.kind)
    if found := meaning_of(error.code) or of_kind or meaning_of(error.inner):
        return found
    if status < REDIRECTS and error.kind in _FAMILIES:
        return Meaning(reason=FailureReason.PROVIDER_REJECTED)
    return None


def _of_sentences(status: int, message: str) -> Meaning | None:
    """Read words where nothing else is known: they refine a refusal, and never make one of a doubt.

    Of a success they say that it brings no picture, but not that none was made.
    """
    if status < REDIRECTS and refuses_content(message):
        return Meaning(reason=FailureReason.CONTENT_REFUSED, billing=Billing.MAY_HAVE_BEEN_CHARGED)
    if status not in WORDS_COUNT:
        return None
    if found := meaning_in(message):
        return found
    if refuses_content(message):
        return Meaning(reason=FailureReason.CONTENT_REFUSED)
    return Meaning(reason=FailureReason.PROVIDER_CREDITS) if lacks_money(message) else None


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
