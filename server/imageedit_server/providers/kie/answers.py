"""What kie.ai's answers mean (VENDORS §2.2, §2.3; PROMISES §2).

The code in the body decides; the HTTP status, mostly 200, does only where there is no such body.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.answers import MAX_BODY_BYTES, Answer
from imageedit_server.outbound.client import Reply
from imageedit_server.outbound.inflating import reply_of
from imageedit_server.providers.base import (
    Accepted,
    NotProcessed,
    PrepareError,
    Refused,
    SubmitError,
)
from imageedit_server.providers.error_codes import Meaning, meaning_in
from imageedit_server.providers.kie.briefs import without_token
from imageedit_server.providers.kie.callbacks import ID_NAMES
from imageedit_server.providers.kie.envelope import (
    SUCCESS,
    Envelope,
    is_number,
    is_url,
    read_envelope,
    read_object,
    text_of,
)
from imageedit_server.providers.outcomes import (
    ambiguous,
    bare_refusal,
    is_told,
    lost,
    meant,
    parse_retry_after,
    redact,
    refusal_of,
    refused,
)
from imageedit_server.providers.refusal_words import refuses_content
from imageedit_server.providers.vendor_ids import ids_in, vendor_id
from imageedit_server.runtime.clock import Clock

BAD_REQUEST = 400
UPLOAD_URL_NAMES = ("downloadUrl", "fileUrl", "url")
UPLOAD_RETRY_SECONDS = 10.0


class CreditsUnknown(Exception):
    """The vendor did not say what is left on the account; the message is a sentence."""


OWN_CODES: dict[int, Meaning] = {
    433: Meaning(reason=FailureReason.PROVIDER_CREDITS),  # the quota of a sub-key
    455: Meaning(reason=FailureReason.PROVIDER_UNAVAILABLE, later=True),  # maintenance
    501: Meaning(reason=FailureReason.PROVIDER_FAILED),
    505: Meaning(reason=FailureReason.PROVIDER_DISABLED),
}
"""What the vendor's own numbers prove, which mean something else or nothing in HTTP (VENDORS §2.3)."""


class Answers:
    """Reads the answers to one account, whose ``secrets`` get no further than this."""

    def __init__(self, secrets: tuple[str, ...], clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    def upload_url(self, reply: Reply) -> str:
        """Return where an uploaded file is. Raises ``PrepareError`` or ``NotProcessed``; uploads are free."""
        content, envelope = read_object(reply.body), read_envelope(reply.body)
        data = content.get("data")
        members = data if isinstance(data, dict) else {}
        url = next(filter(is_url, map(members.get, UPLOAD_URL_NAMES)), None)
        took = envelope is not None and envelope.code == SUCCESS and content.get("success") is not False
        if took and url is not None:
            return text_of(url)
        raise _upload_error(self._refusal(reply, envelope, self._clock.now()))

    def accepted(self, answer: Answer) -> Accepted:
        """Return the id of the created task. Raises ``SubmitError``, without the callback's token."""
        reply = reply_of(answer, MAX_BODY_BYTES)
        envelope = read_envelope(reply.body)
        if envelope is None and not is_told(answer):
            raise lost(answer)
        if envelope is None or envelope.code != SUCCESS:
            envelope = envelope and replace(envelope, msg=without_token(envelope.msg, answer.brief))
            error = self._refusal(reply, envelope, answer.answer_time)
        elif found := _task_id(envelope.data):
            return Accepted(vendor_task_id=found)
        else:
            message = "The provider reported success and named no task."
            error = ambiguous(message, code=str(SUCCESS), vendor_trouble=False)
        if envelope is not None:  # else it is not the vendor who names something
            error.ids = ids_in(read_object(reply.body), task_names=ID_NAMES)
        raise error

    def credits(self, reply: Reply) -> float:
        """Return what is left on the account. Raises ``CreditsUnknown``."""
        envelope = read_envelope(reply.body)
        if envelope is not None and envelope.code == SUCCESS and is_number(envelope.data):
            return float(envelope.data)
        raise CreditsUnknown(str(self._refusal(reply, envelope, self._clock.now())))

    def _refusal(self, reply: Reply, envelope: Envelope | None, now: datetime) -> SubmitError:
        retry_after = parse_retry_after(reply.headers.get("retry-after"), now)
        if envelope is None:
            return bare_refusal(
                reply.status, reply.headers, reply.body, always_json=True, retry_after=retry_after
            )
        code, msg = str(envelope.code), redact(envelope.msg, self._secrets)
        if envelope.code in (400, 422) and (meaning_in(msg) or refuses_content(msg)):
            return refused(FailureReason.CONTENT_REFUSED, code=code, provider_message=msg)
        if meaning := OWN_CODES.get(envelope.code):
            return meant(meaning, code=code, provider_message=msg, retry_after=retry_after)
        if envelope.code < BAD_REQUEST:
            return ambiguous(f"The provider answered {code}.", code=code, provider_message=msg)
        return refusal_of(envelope.code, provider_message=msg, retry_after=retry_after)


def _task_id(data: Any) -> str:
    """Return the id of the task in ``data``, empty where there is none."""
    members = data if isinstance(data, dict) else {}
    return next(filter(None, (vendor_id(members.get(name)) for name in ID_NAMES)), "")


def _upload_error(error: SubmitError) -> PrepareError | NotProcessed:
    """Translate to a call that is free and can be repeated: only a refusal is final."""
    failure, message = error.failure, f"An upload failed. {error}"
    if isinstance(error, Refused):
        said = f" It said: {failure.provider_message}" if failure.provider_message else ""
        return PrepareError(failure.reason, f"{message}{said}")
    reason = failure.reason if isinstance(error, NotProcessed) else FailureReason.PROVIDER_UNAVAILABLE
    waits = error.retry_after_seconds
    return NotProcessed(
        replace(failure, reason=reason, message=message),
        retry_after_seconds=UPLOAD_RETRY_SECONDS if waits is None else waits,
    )
