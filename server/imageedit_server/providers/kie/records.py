"""How a created task stands, by its record (VENDORS §2.2, §2.3).

The word for a task's state is taken in every spelling that clients of the vendor know, and what a record
holds counts beside it: a result that is there is a success, a reason to fail a failure.
"""

from dataclasses import dataclass
from typing import Any

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.client import Reply
from imageedit_server.outbound.redaction import redact
from imageedit_server.providers.base import Finished, InProgress, Output, VendorTaskUnknown
from imageedit_server.providers.error_codes import meaning_in, meaning_of
from imageedit_server.providers.kie.doubts import Doubts, Patience
from imageedit_server.providers.kie.envelope import SUCCESS, Envelope, is_number, read_envelope, text_of
from imageedit_server.providers.kie.results import result_urls, usage_of
from imageedit_server.providers.outcomes import MESSAGES
from imageedit_server.providers.refusal_words import refuses_content
from imageedit_server.runtime.clock import Clock

MAX_OUTPUTS = 16

NO_PICTURE = "The provider reported success without a picture."

RUNNING = frozenset(
    {"waiting", "queuing", "queueing", "queued", "generating", "pending", "processing", "running"}
)
SUCCEEDED = frozenset({"success", "succeeded", "succeed", "completed", "complete", "finished", "done"})
FAILED = frozenset(
    {"fail", "failed", "failure", "error", "cancelled", "canceled", "timeout", "timed_out", "expired"}
)
"""The words for a state; the vendor's page has waiting, queuing, generating, success and fail."""


class AskAgain(Exception):
    """The answer to a poll settles nothing. The message holds no secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What a poll's body code ends a task with, once it has kept coming for long enough."""

    reason: FailureReason
    patience: Patience


_AT_ONCE = Patience(times=1)
_THRICE = Patience(times=3)
_A_WHILE = Patience(times=3, seconds=30)
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


class Records:
    """Reads the records of one account's tasks, whose ``secrets`` get no further than this."""

    def __init__(self, secrets: tuple[str, ...], clock: Clock) -> None:
        self._secrets = secrets
        self._doubts = Doubts(clock)

    def standing(self, vendor_task_id: str, reply: Reply) -> InProgress | Finished | Failure:
        """Return how a task stands. Raises ``AskAgain``, ``VendorTaskUnknown``."""
        envelope = read_envelope(reply.body)
        if envelope is None:
            raise AskAgain(f"HTTP {reply.status} in a form that says nothing")
        record = _record_of(vendor_task_id, envelope)
        if envelope.code != SUCCESS:
            return self._end_of(vendor_task_id, envelope, record)
        if record is None:
            raise AskAgain("the record of no task, or of another one")
        return self._standing(vendor_task_id, record)

    def _standing(self, vendor_task_id: str, record: dict[str, Any]) -> InProgress | Finished | Failure:
        word = text_of(record.get("state")).strip().lower()
        if word in FAILED:
            return self._failed(record)
        if word in SUCCEEDED:
            return self._finished(vendor_task_id, record)
        if ended := self._ended_whatever_the_word(vendor_task_id, word, record):
            return ended
        self._doubts.dispel(vendor_task_id)
        return InProgress(progress_percent=_percent(record.get("progress")))

    def _ended_whatever_the_word(
        self, vendor_task_id: str, word: str, record: dict[str, Any]
    ) -> Finished | Failure | None:
        """Believe what a record holds: at once under a word that nobody knows, else when it keeps coming."""
        urls, fails = result_urls(record), _has_failed(record)
        if not urls and not fails:
            return None
        if word in RUNNING and not self._doubts.believe(vendor_task_id, "an end", _A_WHILE):
            raise AskAgain(f"{word} with an end")
        return self._finished(vendor_task_id, record) if urls else self._failed(record)

    def _end_of(
        self, vendor_task_id: str, envelope: Envelope, record: dict[str, Any] | None
    ) -> Finished | Failure:
        """Return what a code that is no success ends the task with; a record beside it says it better."""
        if record is not None and result_urls(record):
            return self._finished(vendor_task_id, record)
        if envelope.code in UNKNOWN_TASK:
            raise self._unknown(vendor_task_id, envelope.code)
        end = POLL_ENDS.get(envelope.code)
        if end is None or not self._doubts.believe(vendor_task_id, end.reason, end.patience):
            raise AskAgain(f"code {envelope.code}")
        if record is not None and _has_failed(record):
            return self._failed(record)
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
        if urls := result_urls(record):
            self._doubts.forget(vendor_task_id)
            outputs = tuple(Output(url=url) for url in urls[:MAX_OUTPUTS])
            return Finished(outputs=outputs, usage=usage_of(record))
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


def _record_of(vendor_task_id: str, envelope: Envelope) -> dict[str, Any] | None:
    record = envelope.data
    if not isinstance(record, dict) or text_of(record.get("taskId")) not in ("", vendor_task_id):
        return None
    return record


def _has_failed(record: dict[str, Any]) -> bool:
    return text_of(record.get("failCode")) not in ("", "0", "200") or bool(text_of(record.get("failMsg")))


def _refuses(code: str, msg: str) -> bool:
    """Whether a failed task was refused for its content: a code decides, words only where none does.

    The vendor has no code of its own for it and puts numbers there, which say nothing.
    """
    if meaning := meaning_of(code) or meaning_in(msg):
        return meaning.reason is FailureReason.CONTENT_REFUSED
    return refuses_content(msg)


def _percent(progress: Any) -> int | None:
    return int(min(max(progress, 0), 100)) if is_number(progress) else None
