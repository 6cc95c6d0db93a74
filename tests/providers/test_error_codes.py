"""The vendors' codes and words: each proves one thing in every spelling, and the others prove nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.providers.error_codes import kind_meaning, meaning_in, meaning_of
from imageedit_server.providers.refusal_words import lacks_money, refuses_content

Reason = FailureReason

CODES = [
    ("moderation_blocked", Reason.CONTENT_REFUSED),
    ("contentFilter", Reason.CONTENT_REFUSED),
    ("content_filter", Reason.CONTENT_REFUSED),
    ("InputTextSensitiveContentDetected", Reason.CONTENT_REFUSED),
    ("OutputImageSensitiveContentDetected.PolicyViolation", Reason.CONTENT_REFUSED),
    ("OutputImageRiskDetection", Reason.CONTENT_REFUSED),
    ("InternalError.Algo.DataInspectionFailed", Reason.CONTENT_REFUSED),
    ("imagine:content-moderated", Reason.CONTENT_REFUSED),
    ("IMAGE_SAFETY", Reason.CONTENT_REFUSED),
    ("INSUFFICIENT_BALANCE", Reason.PROVIDER_CREDITS),
    ("AllocationQuota.FreeTierOnly", Reason.PROVIDER_CREDITS),
    ("OutOfCredits", Reason.PROVIDER_CREDITS),
    ("InvalidApiKey", Reason.PROVIDER_CREDENTIALS),
    ("AccessDenied.Unpurchased", Reason.PROVIDER_CREDENTIALS),
    ("InvalidParameter.DataInspection", Reason.PROVIDER_REJECTED),
    ("InvalidEndpointOrModel.NotFound", Reason.PROVIDER_REJECTED),
    ("Throttling.AllocationQuota", Reason.PROVIDER_RATE_LIMITED),
    ("RateLimitExceeded", Reason.PROVIDER_RATE_LIMITED),
]


@pytest.mark.parametrize(("code", "reason"), CODES)
def test_a_code_proves_one_thing(code: str, reason: FailureReason) -> None:
    meaning = meaning_of(code)
    assert meaning is not None
    assert (meaning.reason, meaning.later) == (reason, reason is Reason.PROVIDER_RATE_LIMITED)


@pytest.mark.parametrize(
    "code", ["", "server_error", "InternalError.Algo", "500", "bad_response", "DataInspection"]
)
def test_what_is_not_known_proves_nothing(code: str) -> None:
    assert meaning_of(code) is None


@pytest.mark.parametrize(
    "kind", ["invalid_request_error", "image_generation_user_error", "upstream_error", "api_error"]
)
def test_a_family_proves_nothing(kind: str) -> None:
    assert kind_meaning(kind) is None


@pytest.mark.parametrize(
    ("code", "billing"),
    [
        ("OutputImageSensitiveContentDetected", Billing.MAY_HAVE_BEEN_CHARGED),
        ("InputImageSensitiveContentDetected", Billing.NOT_CHARGED),
        ("IMAGE_PROHIBITED_CONTENT", Billing.MAY_HAVE_BEEN_CHARGED),
        ("content_filter", Billing.MAY_HAVE_BEEN_CHARGED),
        ("moderation_blocked", Billing.NOT_CHARGED),
    ],
)
def test_what_is_refused_after_the_work_may_be_billed(code: str, billing: Billing) -> None:
    meaning = meaning_of(code)
    assert meaning is not None
    assert meaning.billing is billing


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<400> InternalError.Algo.DataInspectionFailed: Output data may …", Reason.CONTENT_REFUSED),
        ("Image generation failed: PROHIBITED_CONTENT", Reason.CONTENT_REFUSED),
        ("upstream said insufficient_user_quota (request id: 7)", Reason.PROVIDER_CREDITS),
        ("see https://docs.example/content_filter", None),
        ("the prompt is about safety and recitation", None),
        ("invalid_value: n", None),
    ],
)
def test_a_code_is_found_in_a_sentence(text: str, reason: FailureReason | None) -> None:
    meaning = meaning_in(text)
    assert (meaning and meaning.reason) == reason


REFUSALS = [
    "The input or output was flagged as sensitive. Please try again with different inputs. (E005)",
    "Your prompt was rejected because it violates the terms of use.",
    "Generation blocked: the image may contain nudity.",
    "The request was blocked due to copyright restrictions.",
    "Image contains a prominent public figure and cannot be processed.",
    "risk control: the text is not allowed",
    "Your prompt was flagged by our content policy.",
    "Your request was rejected by content moderation.",
    "The generated image was blocked by our safety filters.",
    "The image violates Google's Generative AI Prohibited Use policy.",
    "The prompt did not pass the content review.",
    "NSFW content detected",
    "Gemini could not generate an image with the given prompt and input image. Please adjust your prompt.",
    "提示词包含敏感内容",
    "内容敏感",
    "输入内容审核失败",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_of_content_is_known_by_its_sentence(text: str) -> None:
    assert refuses_content(text)


@pytest.mark.parametrize(
    "text",
    [
        "Rate policy exceeded for this model, please retry later.",
        "Upstream returned 503: moderate load, try again.",
        "TLS handshake failed: unsafe legacy renegotiation disabled",
        "Input image_urls must be served with a CORS policy that allows download.",
        "The request violates the rate policy.",
        "see our content policy",
        "the name is case-sensitive",
        "Inappropriate content type: image/gif",
        "Sensitive data must be sent over TLS.",
        "参数大小写敏感",
        "后台审核中，请稍后",
        "Gemini could not generate an image. Please try again.",
    ],
)
def test_in_doubt_a_text_is_no_refusal(text: str) -> None:
    assert not refuses_content(text)


def test_money_has_its_sentences_too() -> None:
    assert lacks_money("User is locked. Reason: Exhausted balance. Top up at …")
    assert lacks_money("Insufficient account balance")
    assert lacks_money("账户余额不足")
    assert not lacks_money("white balance is not supported")


@given(st.text())
def test_no_text_breaks_the_reading(text: str) -> None:
    meaning_of(text)
    meaning_in(text)
    refuses_content(text)
