"""Why work failed: the one noun for it, from the vendor's answer to what the caller reads."""

from dataclasses import dataclass, replace

from imageedit_server.core.errors import FailureReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a task or an attempt failed; callers see it as ``TaskError`` (DESIGN §2).

    ``reason`` is the stable word and ``message`` a sentence for people. ``provider_code`` and
    ``provider_message`` are the vendor's own, redacted before they get here. ``retryable`` says whether a new
    task with the same request may succeed.
    """

    reason: FailureReason
    message: str
    provider_code: str = ""
    provider_message: str = ""
    retryable: bool = False

    def quoting(self, other: "Failure | None") -> "Failure":
        """Return this failure with what the vendor said in ``other``, if anything."""
        if other is None:
            return self
        return replace(self, provider_code=other.provider_code, provider_message=other.provider_message)
