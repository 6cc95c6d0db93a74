"""The vendors' own codes, and what each proves of a paid call: one table for every adapter (PROMISES §2).

Relays pass on the codes of the models behind them, so that any adapter may meet any of them. A code counts
whatever the HTTP status: a relay's own validation leaves as 500, its upstream's refusal as 502. What is not
here proves nothing, and the status counts. Sources: VENDORS §2.3, §3.4, §4.2, §8.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Meaning:
    """What a code proves. ``later``: nothing was done now, and the same call may be made again."""

    reason: FailureReason
    later: bool = False
    billing: Billing = Billing.NOT_CHARGED
    """MAY_HAVE_BEEN_CHARGED for what the vendor refuses after it has worked."""


def meaning_of(code: str) -> Meaning | None:
    """Return what ``code`` proves, however it is spelt; None for one that proves nothing.

    ``InputImageSensitiveContentDetected.PolicyViolation`` counts by its longest beginning that is known,
    ``InternalError.Algo.DataInspectionFailed`` by its last part.
    """
    parts = _plain(code).split(".")
    beginnings = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((_TABLE[form] for form in (*beginnings, parts[-1]) if form in _TABLE), None)


def kind_meaning(kind: str) -> Meaning | None:
    """Return what an error's ``type`` proves: only where it names one thing, which families do not."""
    plain = _plain(kind)
    return _KINDS.get(plain) or meaning_of(kind)


def meaning_in(text: str) -> Meaning | None:
    """Return what a code of moderation or of money proves that stands in a sentence, as relays quote them."""
    found = (meaning_of(word) for word in _CODE_IN_TEXT.findall(text))
    return next((meaning for meaning in found if meaning and meaning.reason in _QUOTED), None)


def _plain(code: str) -> str:
    return re.sub(r"[_\- ]", "", code).lower()


_QUOTED = (FailureReason.CONTENT_REFUSED, FailureReason.PROVIDER_CREDITS)
_CODE_IN_TEXT = re.compile(
    r"(?<![\w./-])(?:[A-Za-z][A-Za-z0-9]*(?:[._][A-Za-z0-9]+)+|[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+)(?![\w/])"
)
"""Words that people do not write: with an underscore, a dot or a capital inside."""

_CONTENT = Meaning(reason=FailureReason.CONTENT_REFUSED)
_CONTENT_AFTER_WORK = replace(_CONTENT, billing=Billing.MAY_HAVE_BEEN_CHARGED)
_MONEY = Meaning(reason=FailureReason.PROVIDER_CREDITS)
_CREDENTIALS = Meaning(reason=FailureReason.PROVIDER_CREDENTIALS)
_REJECTED = Meaning(reason=FailureReason.PROVIDER_REJECTED)
_DISABLED = Meaning(reason=FailureReason.PROVIDER_DISABLED)
_BUSY = Meaning(reason=FailureReason.PROVIDER_RATE_LIMITED, later=True)


def _sensitive(side: str) -> Iterator[str]:
    """Ark's codes of moderation: of what side, of what kind of content."""
    for content in ("", "Text", "Image", "Video", "Audio"):
        yield f"{side}{content}SensitiveContentDetected"
        yield f"{side}{content}RiskDetection"


_CODES: tuple[tuple[Meaning, Iterable[str]], ...] = (
    (
        _CONTENT,
        [
            *("moderation_blocked", "content_policy_violation"),  # OpenAI, fal, Comfy
            *("content_policy_blocked", "content_moderation", "content_moderated", "request_moderated"),
            *("sensitive_words_detected", "prompt_blocked"),  # new-api
            *("DataInspectionFailed", "IPInfringementSuspect"),  # Qwen
            *(*_sensitive(""), *_sensitive("Input"), "PolicyViolation", "PrivacyInformation"),  # Ark
            *("PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "JAILBREAK", "MODEL_ARMOR", "SAFETY"),  # Gemini
            *("RECITATION", "ESCALATION"),
            *("imagine:content-moderated", "ContentModerationError"),  # xAI, FASHN
        ],
    ),
    (
        _CONTENT_AFTER_WORK,
        [
            *_sensitive("Output"),  # Ark
            *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),  # Gemini
            *("content_filter", "content_filtered", "ResponsibleAIPolicyViolation"),  # Azure, Stability
            *("is_image_safe", "respect_moderation"),  # what Ideogram and xAI set to false
        ],
    ),
    (
        _MONEY,
        [
            *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),  # OpenAI
            *("insufficient_user_quota", "pre_consume_token_quota_failed"),  # new-api, one-api
            *("insufficient_balance", "insufficient_credits", "payment_required"),  # relays
            *("Arrearage", "PrepaidBillOverdue", "PostpaidBillOverdue"),  # Qwen
            "AllocationQuota.FreeTierOnly",
            *("AccountOverdueError", "ServiceOverdue", "SetLimitExceeded", "QuotaExceeded"),  # Ark
            *("insufficient_funds", "subscription_required", "daily_limit", "feature_limit"),  # Ideogram
            *("priority_credit_required", "OutOfCredits"),  # Ideogram, FASHN
        ],
    ),
    (
        _CREDENTIALS,
        [
            *("invalid_api_key", "access_denied", "API_KEY_INVALID"),  # OpenAI, new-api, Qwen, Gemini
            *("Model.AccessDenied", "CommodityNotPurchased"),  # Qwen
            *("AuthenticationError", "PermissionDenied", "ModelNotOpen", "ServiceNotOpen"),  # Ark
            *("InvalidAccountStatus", "PUP_LIMITED_DISABLED", "UNAUTHENTICATED", "UnauthorizedAccess"),
        ],
    ),
    (
        _REJECTED,
        [
            *("invalid_request", "convert_request_failed", "model_price_error", "model_not_found"),  # new-api
            *("invalid_value", "invalid_image_file", "invalid_mask_image_format"),  # OpenAI
            *("invalid_input_fidelity_model", "unknown_parameter", "missing_required_parameter"),
            *("InvalidParameter", "InvalidURL"),  # Qwen
            *("MissingParameter", "InvalidArgumentError", "InvalidImageURL", "UnsupportedModel"),  # Ark
            *("InvalidEndpointOrModel", "INVALID_ARGUMENT", "InputValidationError"),  # Ark, Gemini, FASHN
        ],
    ),
    (_DISABLED, ["api_not_implemented", "not_enabled"]),  # one-api, Comfy
    (
        _BUSY,
        [
            *("rate_limit_exceeded", "rate_limited", "concurrency_limit_exceeded", "queue_backlog_full"),
            *("Throttling", "LimitRequests"),  # Qwen
            *("RequestBurstTooFast", "AccountRateLimitExceeded", "InflightBatchsizeExceeded"),  # Ark
            *("ServerOverloaded", "inflight_limit", "RESOURCE_EXHAUSTED"),  # Ark, Ideogram, Gemini
        ],
    ),
)
_TABLE = {_plain(code): meaning for meaning, codes in _CODES for code in codes}

_KINDS = {
    _plain(kind): meaning
    for kind, meaning in {
        "rate_limit_error": _BUSY,
        "permission_error": _CREDENTIALS,
        "billing_error": _MONEY,
        "billing_limit_user_error": _MONEY,
        "not_found_error": _REJECTED,
    }.items()
}
"""Types that name one thing. Families, such as ``invalid_request_error``, are not here."""
