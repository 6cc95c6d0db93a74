"""What Suitme's answer to the creation of a job means (VENDORS §1.4, §1.6; PROMISES §2)."""

from datetime import datetime

from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.answers import MAX_BODY_BYTES, Answer
from imageedit_server.outbound.client import Reply
from imageedit_server.outbound.inflating import reply_of
from imageedit_server.providers.base import Accepted, SubmitError
from imageedit_server.providers.error_codes import meaning_in
from imageedit_server.providers.outcomes import (
    ambiguous,
    bare_refusal,
    is_told,
    lost,
    parse_retry_after,
    redact,
    refusal_of,
    refused,
)
from imageedit_server.providers.refusal_words import refuses_content
from imageedit_server.providers.suitme.envelope import NOT_FOUND, Envelope, read_envelope
from imageedit_server.providers.vendor_ids import TASK_NAMES, ids_in, vendor_id

NO_SUCH_BASE = (
    "The provider does not have the base; it edits only default models that CreateDefaultModel made there."
)
BASE_WITHOUT_PICTURE = "The provider has the base, but no picture of it to edit."


class Answers:
    """Reads the answers to one account, whose ``secrets`` get no further than this."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def accepted(self, answer: Answer) -> Accepted:
        """Return the id of the created job. Raises ``SubmitError``."""
        reply = reply_of(answer, MAX_BODY_BYTES)
        envelope = read_envelope(reply)
        if envelope.code is None and not is_told(answer):
            raise lost(answer)
        if not envelope.succeeded:
            error = self._refusal(envelope, reply, answer.answer_time)
        elif found := _task_id(envelope):
            return Accepted(vendor_task_id=found)
        else:
            message = "The provider reported success and named no task."
            error = ambiguous(message, code=str(reply.status), vendor_trouble=False)
        if envelope.code is not None:  # else it is not the vendor who names something
            error.ids = ids_in({"data": envelope.data}, task_names=TASK_NAMES)
        raise error

    def _refusal(self, envelope: Envelope, reply: Reply, now: datetime) -> SubmitError:
        code = str(reply.status if envelope.code is None else envelope.code)
        said = redact(envelope.msg, self._secrets)
        wait = parse_retry_after(reply.headers.get("retry-after"), now)
        if envelope.is_bare:
            return bare_refusal(reply.status, reply.headers, reply.body, always_json=True, retry_after=wait)
        if envelope.may_be_accepted:
            return ambiguous(f"The provider answered HTTP {reply.status}.", code=code, provider_message=said)
        if envelope.status in (400, 422) and (meaning_in(said) or refuses_content(said)):
            return refused(FailureReason.CONTENT_REFUSED, code=code, provider_message=said)
        return refusal_of(
            envelope.status,
            message=_missing_base(envelope),
            code=code,
            provider_message=said,
            retry_after=wait,
        )


def _task_id(envelope: Envelope) -> str:
    """Return the job's id. Dots alone would be steps in a path and no name in it."""
    data = envelope.data if isinstance(envelope.data, dict) else {}
    found = vendor_id(data.get("task_id"))
    return found if found not in (".", "..") else ""


def _missing_base(envelope: Envelope) -> str:
    if envelope.code != NOT_FOUND:
        return ""
    return BASE_WITHOUT_PICTURE if "(no image" in envelope.msg else NO_SUCH_BASE
