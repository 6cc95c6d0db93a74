"""How a job stands at Suitme (VENDORS §1.5).

A picture that is there is a success and a message of error a failure, under any word that nobody knows.
"""

import re
from typing import Any

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.client import Reply
from imageedit_server.outbound.redaction import redact
from imageedit_server.outbound.strict_base64 import read_base64
from imageedit_server.providers.base import Finished, InProgress, Output, VendorTaskUnknown
from imageedit_server.providers.error_codes import meaning_in
from imageedit_server.providers.origins import address_in
from imageedit_server.providers.outcomes import MESSAGES
from imageedit_server.providers.refusal_words import refuses_content
from imageedit_server.providers.suitme.envelope import NOT_FOUND, read_envelope, text_of

NO_PICTURE = "The provider reported success without a picture."

RUNNING = frozenset({"submitted", "processing", "pending", "queued", "running"})
COMPLETED = frozenset({"completed", "complete", "success", "succeeded", "done", "finished"})
FAILED = frozenset({"failed", "fail", "failure", "error", "cancelled", "canceled", "timeout"})
"""The words for a status; the vendor's page has submitted, processing, completed and failed."""

_UPSTREAM_CODE = re.compile(r"\[(apimart_[a-z_]{1,40})\]")
_PASSING = frozenset({"apimart_rate_limited", "apimart_server_error", "apimart_timeout"})
"""What its own provider's trouble is called in its error messages, and which of it passes (SUITME)."""

_DATA_URI = re.compile(r"data:[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40};base64,", re.IGNORECASE)


class AskAgain(Exception):
    """The answer to a poll settles nothing. The message holds no secret."""


class Standings:
    """Reads how one account's jobs stand; its ``secrets`` get no further than this."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def standing(self, vendor_task_id: str, reply: Reply) -> InProgress | Finished | Failure:
        """Return how a job stands. Raises ``AskAgain`` and ``VendorTaskUnknown``."""
        envelope = read_envelope(reply)
        if envelope.code == NOT_FOUND:
            raise VendorTaskUnknown(f"HTTP {reply.status} code {envelope.code}")
        data = envelope.data
        if not envelope.succeeded or not isinstance(data, dict):
            raise AskAgain(f"HTTP {reply.status} code {envelope.code}")
        if text_of(data.get("task_id")) not in ("", vendor_task_id):
            raise AskAgain("another task's standing")
        return self._standing(data)

    def _standing(self, data: dict[str, Any]) -> InProgress | Finished | Failure:
        word = text_of(data.get("status")).strip().lower()
        image, error = data.get("image"), text_of(data.get("error_message"))
        if word in FAILED:
            return self._failed(error)
        if word in COMPLETED or (word not in RUNNING and isinstance(_finished(image), Finished)):
            return _finished(image)
        if word not in RUNNING and error:
            return self._failed(error)
        return InProgress(progress_percent=_percent(data.get("progress")))

    def _failed(self, error_message: str) -> Failure:
        said = redact(error_message, self._secrets)
        found = _UPSTREAM_CODE.search(said)
        code = found[1] if found else ""
        quoted = meaning_in(said)
        refuses = refuses_content(said) if quoted is None else quoted.reason is FailureReason.CONTENT_REFUSED
        reason = FailureReason.CONTENT_REFUSED if refuses else FailureReason.PROVIDER_FAILED
        return Failure(
            reason=reason,
            message=MESSAGES[reason],
            provider_code=code,
            provider_message=said,
            retryable=not refuses and code in _PASSING,
        )


def _finished(image: Any) -> Finished | Failure:
    """Return the picture, which older builds send whole.

    A job that is completed without one stays so: the vendor could not keep its copy (VENDORS §1.5).
    """
    members = image if isinstance(image, dict) else {}
    if url := address_in(members.get("image_url")):
        return Finished(outputs=(Output(url=url),))
    if content := _decoded(members.get("image_base64")):
        return Finished(outputs=(Output(content=content),))
    return Failure(reason=FailureReason.PROVIDER_BAD_RESULT, message=NO_PICTURE)


def _decoded(text: Any) -> bytes:
    """Decode strictly, with or without a data URI's head (F53); empty for what is not Base64."""
    if not isinstance(text, str):
        return b""
    head = _DATA_URI.match(text)
    try:
        return read_base64("".join(text[head.end() if head else 0 :].split()))
    except ValueError:
        return b""


def _percent(progress: Any) -> int | None:
    if not isinstance(progress, int | float) or isinstance(progress, bool):
        return None
    return int(min(max(progress, 0), 100))
