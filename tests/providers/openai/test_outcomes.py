"""The paid call: what each way that it can end means, and that it is made once (PROMISES §2, F40 to F54)."""

import base64
import json
import socket
from typing import Any

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.providers.base import Ambiguous, NotProcessed, Refused, SubmitError, SubmitSafety
from imageedit_server.providers.error_codes import meaning_of
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.openai.refusals import DOUBTS
from tests.providers.adapters import Reports, finished_by
from tests.providers.openai.conftest import MakeAdapter
from tests.providers.openai.jobs import Jobs, picture
from tests.vendors.openai.behaviours import (
    BROKEN_WIRES,
    UNREADABLE,
    Behaviour,
    busy,
    error,
    on_the_wire,
    page,
    replies,
    rewrites,
    sends,
)
from tests.vendors.openai.server import FORBIDDEN_WORD, OpenaiVendor, Personality
from tests.vendors.serving import MIB, Line

Reason = FailureReason
SIZE = "1024x640"
"""Small, so that the vendor's work is quick."""


def name_of(value: object) -> str:
    return str(getattr(value, "name", value)).replace("\n", " ")


async def outcome(adapter: OpenaiAdapter, jobs: Jobs, **request: Any) -> SubmitError:
    prepared = await adapter.prepare(jobs.make(adapter, size=SIZE, **request))
    with pytest.raises(SubmitError) as raised:
        await finished_by(adapter, prepared, Reports())
    return raised.value


def test_no_outcome_can_be_asked_for_again() -> None:
    """The vendor takes no key and calls nobody back (VENDORS §3.4)."""
    assert OpenaiAdapter.submit_safety is SubmitSafety.NONE
    assert not OpenaiAdapter.charge.is_free


REFUSED = [
    (error(400), Reason.PROVIDER_REJECTED),
    (error(400, "invalid_value", param="size"), Reason.PROVIDER_REJECTED),
    (error(404, "model_not_found"), Reason.PROVIDER_REJECTED),
    (error(413), Reason.PROVIDER_REJECTED),
    (error(415), Reason.PROVIDER_REJECTED),
    (error(422), Reason.PROVIDER_REJECTED),
    (page(400), Reason.PROVIDER_REJECTED),
    (page(413), Reason.PROVIDER_REJECTED),
    (error(401, "invalid_api_key"), Reason.PROVIDER_CREDENTIALS),
    (error(401), Reason.PROVIDER_CREDENTIALS),
    (error(403, "unsupported_country_region_territory"), Reason.PROVIDER_CREDENTIALS),
    (sends("403 text", b"no", status=403, works=False), Reason.PROVIDER_CREDENTIALS),
    (error(402), Reason.PROVIDER_CREDITS),
    (error(429, "insufficient_quota", kind="insufficient_quota"), Reason.PROVIDER_CREDITS),
    (error(429, None, kind="insufficient_quota"), Reason.PROVIDER_CREDITS),
    (error(400, "billing_hard_limit_reached"), Reason.PROVIDER_CREDITS),
    (error(400, "moderation_blocked", kind="image_generation_user_error"), Reason.CONTENT_REFUSED),
    (error(400, None, kind="image_generation_user_error"), Reason.PROVIDER_REJECTED),
    (error(400, "invalid_image_file", kind="image_generation_user_error"), Reason.PROVIDER_REJECTED),
    (error(400, "billing_hard_limit_reached", kind="image_generation_user_error"), Reason.PROVIDER_CREDITS),
    (error(200, None, kind="image_generation_user_error"), Reason.PROVIDER_REJECTED),
    (error(400, "content_policy_violation"), Reason.CONTENT_REFUSED),
    (error(400, message="Your request was rejected by the safety system."), Reason.CONTENT_REFUSED),
    (error(400, message="Rejected. safety_violations=[sexual]."), Reason.CONTENT_REFUSED),
    # What only a relay says (VENDORS §4)
    (error(500, "invalid_request", kind="new_api_error"), Reason.PROVIDER_REJECTED),
    (error(500, "convert_request_failed", kind="new_api_error"), Reason.PROVIDER_REJECTED),
    (error(500, "model_price_error", kind="new_api_error"), Reason.PROVIDER_REJECTED),
    (error(503, "model_not_found", kind="new_api_error"), Reason.PROVIDER_REJECTED),
    (error(500, "sensitive_words_detected", kind="new_api_error"), Reason.CONTENT_REFUSED),
    (error(500, "prompt_blocked", kind="new_api_error"), Reason.CONTENT_REFUSED),
    (error(403, "insufficient_user_quota", kind="new_api_error"), Reason.PROVIDER_CREDITS),
    (error(500, "insufficient_user_quota", kind="new_api_error"), Reason.PROVIDER_CREDITS),
    (error(403, "pre_consume_token_quota_failed", kind="one_api_error"), Reason.PROVIDER_CREDITS),
    (error(403, "access_denied", kind="new_api_error"), Reason.PROVIDER_CREDENTIALS),
    (error(401, kind="one_api_error", message="无效的令牌"), Reason.PROVIDER_CREDENTIALS),
    (error(501, "api_not_implemented", kind="one_api_error"), Reason.PROVIDER_DISABLED),
    (error(400, 4, kind="upstream_error"), Reason.PROVIDER_REJECTED),
    (error(400, "bad_response_status_code", kind="upstream_error", param="400"), Reason.PROVIDER_REJECTED),
    (error(404, "", message="Invalid URL (POST /v1/images/edits)"), Reason.PROVIDER_REJECTED),
    # A body that contradicts its status
    (error(200, "moderation_blocked"), Reason.CONTENT_REFUSED),
    (error(200, 400), Reason.PROVIDER_REJECTED),
    (error(200, "402"), Reason.PROVIDER_CREDITS),
    (error(200), Reason.PROVIDER_REJECTED),
    # Turned away, whatever by
    *((error(status), Reason.PROVIDER_REJECTED) for status in (405, 406, 410, 421, 431, 451, 501, 505)),
    *(
        (sends(f"bare {status}", b"no", status=status, works=False), Reason.PROVIDER_REJECTED)
        for status in (405, 411, 414, 428, 501)
    ),
    (
        sends("moved", b"", status=301, headers={"location": "https://elsewhere.example/"}, works=False),
        Reason.PROVIDER_REJECTED,
    ),
    (
        sends("moved elsewhere", b"", status=308, headers={"location": "http://127.0.0.2:1/"}, works=False),
        Reason.PROVIDER_REJECTED,
    ),
    # The types that name one thing, where the status says nothing
    (error(200, None, kind="authentication_error"), Reason.PROVIDER_CREDENTIALS),
    (error(200, None, kind="permission_error"), Reason.PROVIDER_CREDENTIALS),
    (error(200, None, kind="billing_error"), Reason.PROVIDER_CREDITS),
    (error(200, None, kind="not_found_error"), Reason.PROVIDER_REJECTED),
    # Codes of the models that relays carry
    (error(400, "data_inspection_failed"), Reason.CONTENT_REFUSED),
    (
        error(400, "bad_response_status_code", message="<400> InternalError.Algo.DataInspectionFailed: no"),
        Reason.CONTENT_REFUSED,
    ),
    (error(502, "InputImageSensitiveContentDetected.PolicyViolation"), Reason.CONTENT_REFUSED),
    (error(400, "Arrearage", kind="Arrearage"), Reason.PROVIDER_CREDITS),
    (error(403, "AccountOverdueError", kind="Forbidden"), Reason.PROVIDER_CREDITS),
    (
        sends("flat", b'{"code":"INSUFFICIENT_BALANCE","message":"no"}', status=403, works=False),
        Reason.PROVIDER_CREDITS,
    ),
    (error(403, None, message="User is locked. Reason: Exhausted balance."), Reason.PROVIDER_CREDITS),
    # Other shapes
    (sends("text error", b'{"error":"no such model"}', status=404, works=False), Reason.PROVIDER_REJECTED),
    (
        sends("midjourney", b'{"description":"banned","type":"x","code":4}', status=400, works=False),
        Reason.PROVIDER_REJECTED,
    ),
    (sends("empty 400", b"", status=400, works=False), Reason.PROVIDER_REJECTED),
]


@pytest.mark.parametrize(("behaviour", "reason"), REFUSED, ids=name_of)
async def test_a_refusal_ends_the_attempt_unpaid(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour, reason: FailureReason
) -> None:
    vendor.misbehave(behaviour)
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (Refused, reason)
    assert len(vendor.requests) == 1
    assert vendor.ledger == []


LATER = [
    (busy({"retry-after": "20"}), 20),
    (busy({"retry-after": "0"}), 0),
    (busy({"retry-after": "1000000000"}), 1e9),
    (busy({"retry-after": "Sat, 21 Nov 2026 09:01:00 GMT"}), 60),
    (busy({"retry-after": "-1"}), None),
    (busy({"retry-after": "soon"}), None),
    (busy({}), None),
    (busy({"retry-after-ms": "1500", "retry-after": "20"}), 1.5),
    (busy({"retry-after-ms": "soon", "retry-after": "20"}), 20),
    (error(429, kind="one_api_error", message="当前分组上游负载已饱和，请稍后再试"), None),
    (page(429), None),
    (error(200, "rate_limit_exceeded"), None),
    (error(200, None, kind="rate_limit_error"), None),
    (error(429, None, kind="image_generation_user_error"), None),
    (error(500, "Throttling.RateQuota"), None),
]


@pytest.mark.parametrize(("behaviour", "seconds"), LATER, ids=name_of)
async def test_a_full_vendor_is_asked_again_when_it_says(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour, seconds: float | None
) -> None:
    """F40; the engine clamps what the vendor says."""
    vendor.misbehave(behaviour)
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (NotProcessed, Reason.PROVIDER_RATE_LIMITED)
    assert raised.retry_after_seconds == seconds
    assert vendor.ledger == []


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "channel:invalid_key"), (403, "channel:no_available_key"), (429, "get_channel_failed")],
)
async def test_trouble_of_the_relay_s_own_accounts_may_pass(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, status: int, code: str
) -> None:
    vendor.misbehave(error(status, code, kind="new_api_error"))
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)


DOUBTFUL = [
    *(page(status) for status in (500, 502, 503, 504, 520, 599)),
    *(page(status, works=True) for status in (500, 502, 504)),
    *(error(status) for status in (408, 409, 425, 499, 500, 503)),
    error(503, None, kind="api_error", message="No available accounts"),
    error(500, None, kind="image_generation_user_error"),
    *(error(500, code, kind="new_api_error") for code in (None, "server_error", "get_channel_failed", 400)),
    *(error(400, code, kind="upstream_error", works=True) for code in sorted(DOUBTS)),
    error(500, None, kind="server_error"),
    error(500, message="Your request was rejected by the safety system."),
    error(200, "server_error", kind="server_error", works=True),
    error(200, 500, kind="upstream_error", works=True),
    sends("200 with an error text", b'{"error":"upstream trouble"}'),
    sends("no content", b"", status=204),
]


@pytest.mark.parametrize("behaviour", DOUBTFUL, ids=name_of)
async def test_what_proves_nothing_is_never_sent_again(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    """F42; the charge may be there, and one more call would be one more charge."""
    vendor.misbehave(behaviour)
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN)
    assert len(vendor.requests) == 1
    assert len(vendor.ledger) == int(behaviour.works)


@pytest.mark.parametrize("behaviour", BROKEN_WIRES, ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_a_lost_reply_proves_nothing(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    """F43, F44: whatever the network does, within the wall limit and with one call."""
    vendor.misbehave(behaviour)
    assert isinstance(await outcome(adapter, jobs), Ambiguous)
    assert len(vendor.requests) == 1
    assert len(vendor.ledger) == int(behaviour.works)


@pytest.mark.parametrize("behaviour", UNREADABLE, ids=name_of)
async def test_a_success_without_a_picture_proves_nothing(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    """F45."""
    vendor.misbehave(behaviour)
    assert isinstance(await outcome(adapter, jobs), Ambiguous)
    assert len(vendor.ledger) == 1


async def test_a_reply_of_a_hundred_megabytes_is_read_as_far_as_a_picture_could_reach(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    """F53: whatever length was announced."""
    sent = 0

    async def send(line: Line) -> None:
        nonlocal sent
        await line.send(b"HTTP/1.1 200 X\r\ncontent-length: 100000000\r\n\r\n{")
        while sent < 100 * MIB:
            await line.send(bytes(MIB))
            sent += MIB

    vendor.misbehave(on_the_wire("100 MB", send))
    raised = await outcome(adapter, jobs)
    assert isinstance(raised, Ambiguous)
    assert "bytes" in raised.failure.message
    assert sent < 70 * MIB


async def test_a_length_that_is_a_lie_costs_no_picture(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    async def send(line: Line) -> None:
        body = json.dumps({"data": [{"b64_json": base64.b64encode(picture()).decode()}]}).encode()
        await line.send(b"HTTP/1.1 200 X\r\ncontent-length: 100000000\r\n\r\n" + body)

    vendor.misbehave(on_the_wire("100 MB", send))
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert finished.outputs[0].content == picture()


async def test_a_vendor_that_is_not_there_did_nothing(make_adapter: MakeAdapter, jobs: Jobs) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        adapter = make_adapter(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)


UNREACHED = [
    page(403),
    sends("403 by number", b"error code: 1010", status=403, works=False),
    sends("challenged", b"{}", status=403, headers={"cf-mitigated": "challenge"}, works=False),
    *(page(status) for status in (521, 523, 525, 526, 530)),
]


@pytest.mark.parametrize("behaviour", UNREACHED, ids=name_of)
async def test_what_the_edge_kept_to_itself_may_be_sent_again(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    """It says nothing of the key."""
    vendor.misbehave(behaviour)
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)
    assert vendor.ledger == []


ENVELOPES = [
    ({"code": 401, "msg": "Invalid token", "data": None}, Reason.PROVIDER_CREDENTIALS, "Invalid token"),
    ({"code": 402, "message": "Insufficient balance", "data": None}, Reason.PROVIDER_CREDITS, "Insuff"),
    ({"error_code": 422, "message": "image is required", "data": []}, Reason.PROVIDER_REJECTED, "image is"),
    ({"success": False, "code": "insufficient_balance", "message": "no"}, Reason.PROVIDER_CREDITS, "no"),
    ({"errors": [{"code": "invalid_api_key", "message": "who?"}]}, Reason.PROVIDER_CREDENTIALS, "who?"),
    ({"errors": ["no"], "code": 400}, Reason.PROVIDER_REJECTED, "no"),
    ({"type": "not_found_error", "message": "gone"}, Reason.PROVIDER_REJECTED, "gone"),
    ({"response": {"error": {"code": "moderation_blocked", "message": "m"}}}, Reason.CONTENT_REFUSED, "m"),
    (
        {"data": [{"error": {"code": "OutputImageSensitiveContentDetected", "message": "sensitive"}}]},
        Reason.CONTENT_REFUSED,
        "sensitive",
    ),
    ({"data": [{"url": "", "is_image_safe": False}]}, Reason.CONTENT_REFUSED, "withheld"),
    (
        {"output": {"task_status": "FAILED", "code": "Arrearage", "message": "m"}},
        Reason.PROVIDER_CREDITS,
        "m",
    ),
]


@pytest.mark.parametrize(("body", "reason", "said"), ENVELOPES, ids=str)
async def test_an_envelope_is_judged_like_an_error_status(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, body: Any, reason: FailureReason, said: str
) -> None:
    vendor.misbehave(sends("envelope", json.dumps(body).encode(), works=False))
    raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (Refused, reason)
    assert said in raised.failure.provider_message


MODERATED = {"code": "moderation_blocked", "message": "m", "type": "image_generation_user_error"}
BILLED = [
    (400, {"error": MODERATED}, Billing.NOT_CHARGED),
    (400, {"error": MODERATED | {"moderation_details": {"moderation_stage": "input"}}}, Billing.NOT_CHARGED),
    (
        400,
        {"error": MODERATED | {"moderation_details": {"moderation_stage": "output"}}},
        Billing.MAY_HAVE_BEEN_CHARGED,
    ),
    (400, {"error": {"code": "content_filter", "message": "m"}}, Billing.MAY_HAVE_BEEN_CHARGED),
    (400, {"error": {"code": "InputTextSensitiveContentDetected", "message": "m"}}, Billing.NOT_CHARGED),
    (
        400,
        {"error": {"code": "OutputImageSensitiveContentDetected", "message": "m"}},
        Billing.MAY_HAVE_BEEN_CHARGED,
    ),
    (400, {"code": "x", "error": "no", "usage": {"cost_in_usd_ticks": 220000000}}, Billing.CHARGED),
    (400, {"code": "x", "error": "no", "usage": {"cost_in_usd_ticks": 0}}, Billing.NOT_CHARGED),
    (200, {"data": [{"url": "", "is_image_safe": False}]}, Billing.CHARGED),
]


@pytest.mark.parametrize(("status", "body", "billing"), BILLED, ids=str)
async def test_what_is_refused_after_the_work_may_be_billed(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, status: int, body: Any, billing: Billing
) -> None:
    vendor.misbehave(sends("refusal", json.dumps(body).encode(), status=status, works=False))
    raised = await outcome(adapter, jobs)
    assert isinstance(raised, Refused)
    assert raised.billing is billing


IDS = [
    ({"code": 200, "data": [{"status": "submitted", "task_id": "task_01"}]}, "task_01", ""),
    ({"id": "img_7", "request_id": "r9"}, "img_7", "r9"),
    ({"data": {"taskId": 1234567890123}}, "1234567890123", ""),
    ({"output": {"task_id": "u-1", "task_status": "PENDING"}, "request_id": "q"}, "u-1", "q"),
    ({"id": "x" * 300, "request_id": "a\nb"}, "", ""),
]


@pytest.mark.parametrize(("body", "task_id", "request_id"), IDS, ids=str)
async def test_every_id_in_an_answer_is_told(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, body: Any, task_id: str, request_id: str
) -> None:
    vendor.misbehave(sends("ids", json.dumps(body).encode()))
    raised = await outcome(adapter, jobs)
    assert isinstance(raised, Ambiguous)
    assert (raised.ids.task_id, raised.ids.request_id) == (task_id, request_id)


async def test_a_success_that_is_a_web_page_is_called_one(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    """A site at a wrong address, most often, which does not make the vendor unwell."""
    vendor.misbehave(page(200, "<!doctype html><title>Console</title>"))
    raised = await outcome(adapter, jobs)
    assert isinstance(raised, Ambiguous)
    assert 'a web page with the title "Console"' in raised.failure.message
    assert not raised.vendor_trouble


# The vendors' own refusals


async def test_openai_refuses_content(adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    raised = await outcome(adapter, jobs, prompt=f"something {FORBIDDEN_WORD}")
    assert (type(raised), raised.failure.reason) == (Refused, Reason.CONTENT_REFUSED)
    assert raised.failure.provider_code == "moderation_blocked"
    assert "safety_violations" in raised.failure.provider_message
    assert vendor.ledger == []


async def test_a_relay_refuses_content_as_http_500(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    raised = await outcome(make_adapter(relay), jobs, prompt=f"something {FORBIDDEN_WORD}")
    assert (type(raised), raised.failure.reason) == (Refused, Reason.CONTENT_REFUSED)
    assert raised.failure.provider_code == "sensitive_words_detected"
    assert relay.ledger == []


async def test_a_relay_refuses_a_field_as_http_500(
    make_adapter: MakeAdapter, relay: OpenaiVendor, jobs: Jobs
) -> None:
    raised = await outcome(make_adapter(relay), jobs, n=11)  # which the limits would have refused
    assert (type(raised), raised.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)
    assert relay.ledger == []


@pytest.mark.parametrize("personality", [Personality.OPENAI, Personality.RELAY])
async def test_a_model_that_is_not_there(
    make_adapter: MakeAdapter, jobs: Jobs, personality: Personality
) -> None:
    """HTTP 404 from OpenAI, HTTP 503 from a relay that has no channel for it."""
    async with OpenaiVendor(personality=personality) as vendor:
        adapter = make_adapter(vendor, models={"public/name": "gpt-image-1-removed"})
        raised = await outcome(adapter, jobs)
    assert (type(raised), raised.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)
    assert raised.failure.message == "The provider does not have this model."


# Secrets


async def test_the_key_is_in_no_error(make_adapter: MakeAdapter, vendor: OpenaiVendor, jobs: Jobs) -> None:
    """Even when the vendor repeats it."""
    key = "secret-key-nobody-may-see"
    adapter = make_adapter(vendor, api_key=key)
    for behaviour in (
        error(
            401, "invalid_api_key", message=f"Incorrect API key provided: {key}. See https://x.example/a?k=v"
        ),
        error(500, key, message=f"Bearer {key}", kind=key),
        error(400, param=key),
    ):
        vendor.misbehave(behaviour)
        raised = await outcome(adapter, jobs)
        shown = f"{raised!r} {raised.failure.message} {raised.failure.provider_message} {raised.__cause__!r}"
        assert key not in shown
        assert "k=v" not in shown


def test_every_word_has_one_meaning() -> None:
    assert [word for word in DOUBTS if meaning_of(word)] == []


# Successes that are nearly right


async def test_any_2xx_with_a_picture_is_a_success(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    def created(honest: Any) -> Any:
        return type(honest)(status=201, body=honest.body, headers=honest.headers)

    vendor.misbehave(replies("201", created))
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert len(finished.outputs) == 1


@pytest.mark.parametrize("nothing", [None, "", {}], ids=repr)
async def test_an_empty_error_member_is_none(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs, nothing: object
) -> None:
    vendor.misbehave(rewrites("empty error", lambda body: body | {"error": nothing}))
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert len(finished.outputs) == 1


async def test_a_byte_order_mark_costs_nothing(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, jobs: Jobs
) -> None:
    content = base64.b64encode(b"picture").decode()
    body = b"\xef\xbb\xbf" + json.dumps({"data": [{"b64_json": content}]}).encode()
    vendor.misbehave(sends("BOM", body))
    finished = await finished_by(adapter, await adapter.prepare(jobs.make(adapter, size=SIZE)), Reports())
    assert finished.outputs[0].content == b"picture"
