"""What kie.ai's answers mean (VENDORS §2.2, §2.3; PROMISES §2).

The code in the body decides; the HTTP status, mostly 200, does only where there is no such body.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.answers import MAX_BODY_BYTES, Answer
from imageedit_server.outbound.client import Reply
from imageedit_server.outbound.inflating import reply_of
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    InProgress,
    NotProcessed,
    Output,
    PrepareError,
    Refused,
    SubmitError,
    VendorTaskUnknown,
)
from imageedit_server.providers.error_codes import Meaning, meaning_in, meaning_of
from imageedit_server.providers.kie.briefs import without_token
from imageedit_server.providers.kie.doubts import Doubts, Patience
from imageedit_server.providers.kie.envelope import (
    Envelope,
    is_number,
    is_url,
    read_envelope,
    read_object,
    text_of,
    vendor_id,
)
from imageedit_server.providers.outcomes import (
    MESSAGES,
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
from imageedit_server.runtime.clock import Clock

SUCCESS = 200
BAD_REQUEST = 400
ID_NAMES = ("taskId", "task_id", "recordId")
MAX_OUTPUTS = 16
UPLOAD_RETRY_SECONDS = 10.0

NO_PICTURE = "The provider reported success without a picture."


class AskAgain(Exception):
    """The answer to a poll settles nothing. The message holds no secret."""


class CreditsUnknown(Exception):
    """The vendor did not say what is left on the account; the message is a sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What a poll's body code ends a task with, once it has kept coming for long enough."""

    reason: FailureReason
    patience: Patience


_AT_ONCE = Patience(times=1)
_THRICE = Patience(times=3)
_MINUTES = Patience(times=3, seconds=300)

POLL_ENDS: dict[int, End] = {
    # The work is paid for: nothing is lost when the account is put in order within minutes.
    401: End(reason=FailureReason.PROVIDER_CREDENTIALS, patience=_MINUTES),
    403: End(reason=FailureReason.PROVIDER_CREDENTIALS, patience=_MINUTES),
    402: End(reason=FailureReason.PROVIDER_CREDITS, patience=_MINUTES),
    505: End(reason=FailureReason.PROVIDER_DISABLED, patience=_MINUTES),
    408: End(reason=FailureReason.PROVIDER_FAILED, patience=_AT_ONCE),  # waited too long for its own result
    501: End(reason=FailureReason.PROVIDER_FAILED, patience=_AT_ONCE),
}
"""What a code of recordInfo ends a task with. Every other one, such as 429, 455 and 500, says
nothing of it: ask again."""

UNKNOWN_TASK = frozenset({400, 404, 422})
"""What recordInfo says of an id that it does not know: 422 "recordInfo is null", "Record does not exist"."""

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
        self._doubts = Doubts(clock)

    def upload_url(self, reply: Reply) -> str:
        """Return where an uploaded file is. Raises ``PrepareError`` or ``NotProcessed``; uploads are free."""
        content = read_object(reply.body)
        data = content.get("data")
        url = data.get("downloadUrl") if isinstance(data, dict) else None
        if content.get("success") is True and content.get("code") == SUCCESS and is_url(url):
            return text_of(url)
        raise _upload_error(self._refusal(reply, read_envelope(reply.body), self._clock.now()))

    def accepted(self, answer: Answer) -> Accepted:
        """Return the id of the created task. Raises ``SubmitError``, without the callback's token."""
        reply = reply_of(answer, MAX_BODY_BYTES)
        envelope = read_envelope(reply.body)
        if envelope is None and not is_told(answer):
            raise lost(answer)
        if envelope is None or envelope.code != SUCCESS:
            envelope = envelope and replace(envelope, msg=without_token(envelope.msg, answer.brief))
            raise self._refusal(reply, envelope, answer.answer_time)
        data = envelope.data if isinstance(envelope.data, dict) else {}
        for name in ID_NAMES:
            if found := vendor_id(data.get(name)):
                return Accepted(vendor_task_id=found)
        raise ambiguous("The provider reported success and named no task.", code=str(SUCCESS))

    def standing(self, vendor_task_id: str, reply: Reply) -> InProgress | Finished | Failure:
        """Return how a task stands. Raises ``AskAgain``."""
        envelope = read_envelope(reply.body)
        if envelope is None:
            raise AskAgain(f"HTTP {reply.status} in a form that says nothing")
        if envelope.code != SUCCESS:
            return self._end_of(vendor_task_id, envelope)
        record = envelope.data
        if not isinstance(record, dict) or text_of(record.get("taskId")) not in ("", vendor_task_id):
            raise AskAgain("the record of no task, or of another one")
        match record.get("state"):
            case "success":
                return self._finished(vendor_task_id, record)
            case "fail":
                return self._failed(record)
        self._doubts.dispel(vendor_task_id)
        return InProgress(progress_percent=_percent(record.get("progress")))

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

    def _end_of(self, vendor_task_id: str, envelope: Envelope) -> Failure:
        if envelope.code in UNKNOWN_TASK:
            raise self._unknown(vendor_task_id, envelope.code)
        end = POLL_ENDS.get(envelope.code)
        if end is None:
            raise AskAgain(f"code {envelope.code}")
        if not self._doubts.believe(vendor_task_id, end.reason, end.patience):
            raise AskAgain(f"code {envelope.code}")
        return Failure(
            reason=end.reason,
            message=MESSAGES[end.reason],
            provider_code=str(envelope.code),
            provider_message=redact(envelope.msg, self._secrets),
        )

    def _unknown(self, vendor_task_id: str, code: int) -> Exception:
        """Doubt that the vendor forgot what it knew before, until it says so for the third time."""
        if self._doubts.knows(vendor_task_id) and not self._doubts.believe(
            vendor_task_id, "unknown", _THRICE
        ):
            return AskAgain(f"code {code} for a task that was known")
        return VendorTaskUnknown(f"code {code}")

    def _finished(self, vendor_task_id: str, record: dict[str, Any]) -> Finished | Failure:
        urls = _result_urls(record.get("resultJson"))
        if urls:
            self._doubts.forget(vendor_task_id)
            return Finished(outputs=tuple(Output(url=url) for url in urls[:MAX_OUTPUTS]))
        if not self._doubts.believe(vendor_task_id, NO_PICTURE, _THRICE):
            raise AskAgain("success without a picture")
        return Failure(reason=FailureReason.PROVIDER_BAD_RESULT, message=NO_PICTURE)

    def _failed(self, record: dict[str, Any]) -> Failure:
        code = redact(text_of(record.get("failCode")), self._secrets)
        msg = redact(text_of(record.get("failMsg")), self._secrets)
        refuses = _refuses(code, msg)
        reason = FailureReason.CONTENT_REFUSED if refuses else FailureReason.PROVIDER_FAILED
        return Failure(
            reason=reason,
            message=MESSAGES[reason],
            provider_code=code,
            provider_message=msg,
            retryable=not refuses and code.startswith("5"),  # 500: "Internal Error, Please try again later."
        )


def _refuses(code: str, msg: str) -> bool:
    """Whether a failed task was refused for its content: a code decides, words only where none does.

    The vendor has no code of its own for it and puts numbers there, which say nothing.
    """
    if meaning := meaning_of(code) or meaning_in(msg):
        return meaning.reason is FailureReason.CONTENT_REFUSED
    return refuses_content(msg)


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


def _result_urls(result: Any) -> list[str]:
    """Return the URLs in ``resultJson``: JSON inside a string, empty or null until success."""
    content = read_object(result) if isinstance(result, str) else result
    urls = content.get("resultUrls") if isinstance(content, dict) else None
    return [url for url in urls if is_url(url)] if isinstance(urls, list) else []


def _percent(progress: Any) -> int | None:
    return int(min(max(progress, 0), 100)) if is_number(progress) else None
