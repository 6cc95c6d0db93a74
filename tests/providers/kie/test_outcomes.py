"""The paid call: what each way that it can end means, and that it is made once (PROMISES §2, F40 to F46)."""

import socket
from dataclasses import replace

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.providers.base import (
    Ambiguous,
    NotProcessed,
    Refused,
    SubmitError,
    SubmitSafety,
)
from imageedit_server.providers.kie import KieAdapter
from tests.providers.adapters import Reports, accepted_by
from tests.providers.kie.conftest import MakeAdapter
from tests.providers.kie.jobs import CALLBACK_URL, Jobs
from tests.vendors.kie.behaviours import (
    BAD_IDS,
    BROKEN_WIRES,
    EDGE_BLOCK,
    UNREADABLE,
    Behaviour,
    busy,
    only_id,
    page,
    replies,
    rewrites,
    says,
    sends,
)
from tests.vendors.kie.server import KieVendor

Reason = FailureReason


def name_of(value: object) -> str:
    return str(getattr(value, "name", value))


async def outcome(adapter: KieAdapter, jobs: Jobs) -> SubmitError:
    prepared = await adapter.prepare(jobs.seedream())
    with pytest.raises(SubmitError) as raised:
        await accepted_by(adapter, prepared, Reports())
    return raised.value


async def test_success(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    accepted = await accepted_by(adapter, await adapter.prepare(jobs.seedream()), Reports())
    [charge] = vendor.ledger
    assert accepted.vendor_task_id == charge.task_id


@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        (only_id("documented", taskId="task_seedream_1765173396122"), "task_seedream_1765173396122"),
        (only_id("other spelling", task_id="abc"), "abc"),
        (only_id("record", recordId="abc"), "abc"),
        (only_id("first that is one", taskId=None, task_id="", recordId="abc"), "abc"),
        (only_id("integer", taskId=12345), "12345"),
        (only_id("path", taskId="../../x?y=1&z#"), "../../x?y=1&z#"),
        (only_id("longest", taskId="x" * 256), "x" * 256),
        (rewrites("message", lambda body: {"code": 200, "message": "", "data": {"taskId": "abc"}}), "abc"),
        (replies("HTTP 500", lambda honest: replace(honest, status=500)), None),
    ],
    ids=name_of,
)
async def test_an_id_is_taken_in_every_spelling(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, behaviour: Behaviour, found: str | None
) -> None:
    """Success is code 200 in the body, whatever the HTTP status (VENDORS §5)."""
    vendor.misbehave("createTask", behaviour)
    accepted = await accepted_by(adapter, await adapter.prepare(jobs.seedream()), Reports())
    assert accepted.vendor_task_id == (found or vendor.ledger[0].task_id)


async def test_a_code_may_be_a_number_in_a_text(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    vendor.misbehave("createTask", rewrites("text", lambda body: body | {"code": "200"}))
    assert (await accepted_by(adapter, await adapter.prepare(jobs.seedream()), Reports())).vendor_task_id
    vendor.misbehave("createTask", sends("refused", b'{"code":"402","msg":"no","data":null}', works=False))
    assert (await outcome(adapter, jobs)).failure.reason is Reason.PROVIDER_CREDITS


async def test_an_id_in_a_doubtful_answer_is_told(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    """Asking for it is free, and ends the doubt. Not every ``id`` names a task."""
    vendor.misbehave("createTask", rewrites("500", lambda body: body | {"code": 500, "requestId": "r7"}))
    error = await outcome(adapter, jobs)
    assert isinstance(error, Ambiguous)
    assert (error.ids.task_id, error.ids.request_id) == (vendor.ledger[0].task_id, "r7")
    vendor.misbehave("createTask", sends("other id", b'{"code":500,"data":{"id":"7"}}'))
    assert (await outcome(adapter, jobs)).ids.task_id == ""


REFUSALS = [
    (400, Reason.PROVIDER_REJECTED),
    (404, Reason.PROVIDER_REJECTED),
    (413, Reason.PROVIDER_REJECTED),
    (415, Reason.PROVIDER_REJECTED),
    (422, Reason.PROVIDER_REJECTED),
    (401, Reason.PROVIDER_CREDENTIALS),
    (403, Reason.PROVIDER_CREDENTIALS),
    (402, Reason.PROVIDER_CREDITS),
    (433, Reason.PROVIDER_CREDITS),
    (451, Reason.PROVIDER_REJECTED),
    (501, Reason.PROVIDER_FAILED),
    (505, Reason.PROVIDER_DISABLED),
]


@pytest.mark.parametrize("http", ["200", "same"])
@pytest.mark.parametrize(("code", "reason"), REFUSALS)
async def test_a_refusal_is_final(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, code: int, reason: FailureReason, http: str
) -> None:
    vendor.misbehave("createTask", says(code, "no", status=200 if http == "200" else code))
    error = await outcome(adapter, jobs)
    assert type(error) is Refused
    assert (error.failure.reason, error.failure.provider_code, error.failure.provider_message) == (
        reason,
        str(code),
        "no",
    )
    assert len(vendor.calls("createTask")) == 1
    assert vendor.ledger == []


@pytest.mark.parametrize(
    "status",
    [301, 302, 400, 404, 405, 413, 415, 422, 451, 501, 505],
    ids=lambda status: f"HTTP {status} without a body of the vendor's",
)
async def test_a_bare_refusal_is_final(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, status: int
) -> None:
    vendor.misbehave("createTask", page(status))
    error = await outcome(adapter, jobs)
    assert (type(error), error.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)


@pytest.mark.parametrize("code", [400, 422])
@pytest.mark.parametrize(
    "msg",
    [
        "Your prompt was flagged by our content policy.",
        "The input may contain sensitive information",
        "NSFW content detected",
        "提示词包含敏感内容",
    ],
)
async def test_a_moderation_is_its_own_reason(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, code: int, msg: str
) -> None:
    vendor.misbehave("createTask", says(code, msg))
    error = await outcome(adapter, jobs)
    assert (type(error), error.failure.reason) == (Refused, Reason.CONTENT_REFUSED)
    assert error.failure.provider_message == msg


@pytest.mark.parametrize(
    ("code", "kind"), [(429, NotProcessed), (500, Ambiguous), (402, Refused)], ids=["429", "500", "402"]
)
async def test_words_do_not_outweigh_the_code(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, code: int, kind: type[SubmitError]
) -> None:
    """What a moderation would say proves nothing under a code that leaves it open."""
    vendor.misbehave("createTask", says(code, "see our content policy"))
    error = await outcome(adapter, jobs)
    assert type(error) is kind
    assert error.failure.reason is not Reason.CONTENT_REFUSED


async def test_the_older_name_of_the_message_is_read(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    vendor.misbehave("createTask", sends("message", b'{"code":422,"message":"no such ratio"}'))
    assert (await outcome(adapter, jobs)).failure.provider_message == "no such ratio"


WAITS = [
    (busy("7"), Reason.PROVIDER_RATE_LIMITED, 7),
    (busy("7", status=200), Reason.PROVIDER_RATE_LIMITED, 7),
    (busy("0"), Reason.PROVIDER_RATE_LIMITED, 0),
    (busy("1000000000"), Reason.PROVIDER_RATE_LIMITED, 1e9),
    (busy(None), Reason.PROVIDER_RATE_LIMITED, None),
    (busy("-1"), Reason.PROVIDER_RATE_LIMITED, None),
    (busy("soon"), Reason.PROVIDER_RATE_LIMITED, None),
    (busy("nan"), Reason.PROVIDER_RATE_LIMITED, None),
    (busy("9" * 400), Reason.PROVIDER_RATE_LIMITED, 1e9),
    (busy("Sat, 21 Nov 2026 09:00:30 GMT"), Reason.PROVIDER_RATE_LIMITED, 30),
    (busy("Sat, 21 Nov 2020 09:00:30 GMT"), Reason.PROVIDER_RATE_LIMITED, 0),
    (busy("Sat, 99 Nov 2020 99:00:30 GMT"), Reason.PROVIDER_RATE_LIMITED, None),
    (page(429), Reason.PROVIDER_RATE_LIMITED, None),
    (says(429), Reason.PROVIDER_RATE_LIMITED, None),
    (says(455), Reason.PROVIDER_UNAVAILABLE, None),
    (says(455, status=455), Reason.PROVIDER_UNAVAILABLE, None),
    (EDGE_BLOCK, Reason.PROVIDER_UNAVAILABLE, None),
    (page(403), Reason.PROVIDER_UNAVAILABLE, None),
    (page(521), Reason.PROVIDER_UNAVAILABLE, None),
]


@pytest.mark.parametrize(("behaviour", "reason", "seconds"), WAITS, ids=name_of)
async def test_what_was_not_processed_may_be_sent_again(
    adapter: KieAdapter,
    vendor: KieVendor,
    jobs: Jobs,
    behaviour: Behaviour,
    reason: FailureReason,
    seconds: float | None,
) -> None:
    """F40. The engine clamps what was said. An HTTP 403 that is no JSON comes from the vendor's edge."""
    vendor.misbehave("createTask", behaviour)
    error = await outcome(adapter, jobs)
    assert (type(error), error.failure.reason) == (NotProcessed, reason)
    assert error.retry_after_seconds == seconds
    assert len(vendor.calls("createTask")) == 1
    assert vendor.ledger == []


AMBIGUOUS = [
    *UNREADABLE,
    *BAD_IDS,
    *BROKEN_WIRES,
    *(says(code, works=True) for code in (-1, 0, 201, 302, 408, 409, 500, 502, 503, 999, 10**30)),
    says(500, "This field is required"),
    *(page(status, works=True) for status in (201, 408, 500, 502, 503, 504, 524, 599)),
]


@pytest.mark.parametrize("behaviour", AMBIGUOUS, ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_what_leaves_it_open_is_ambiguous_and_sent_once(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    vendor.misbehave("createTask", behaviour, times=None)
    error = await outcome(adapter, jobs)
    assert (type(error), error.failure.reason) == (Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN)
    assert len(vendor.calls("createTask")) == 1
    assert len(vendor.ledger) <= 1


async def test_a_call_that_cannot_leave_was_not_processed(
    make_adapter: MakeAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    adapter = make_adapter(base_url=f"http://127.0.0.1:{port}")
    error = await outcome(adapter, jobs)
    assert (type(error), error.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)
    assert vendor.ledger == []


async def test_an_empty_account_is_not_charged(adapter: KieAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    vendor.balance = 1.0
    assert (await outcome(adapter, jobs)).failure.reason is Reason.PROVIDER_CREDITS
    assert (vendor.ledger, vendor.balance) == ([], 1.0)


async def test_a_wrong_key_is_told_as_such(make_adapter: MakeAdapter, vendor: KieVendor, jobs: Jobs) -> None:
    prepared = await make_adapter().prepare(jobs.seedream())
    with pytest.raises(Refused) as raised:
        await accepted_by(make_adapter(api_key="another-key-0123"), prepared, Reports())
    assert raised.value.failure.reason is Reason.PROVIDER_CREDENTIALS


async def test_the_accounts_limit_of_twenty_in_ten_seconds(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    prepared = await adapter.prepare(jobs.seedream())
    for _ in range(20):
        await accepted_by(adapter, prepared, Reports())
    with pytest.raises(NotProcessed) as raised:
        await accepted_by(adapter, prepared, Reports())
    assert raised.value.failure.reason is Reason.PROVIDER_RATE_LIMITED
    assert len(vendor.ledger) == 20


async def test_what_the_vendor_repeats_is_redacted(
    adapter: KieAdapter, vendor: KieVendor, jobs: Jobs
) -> None:
    """P26, F90: neither the key nor the callback's token gets into a task, whoever says it."""
    token = CALLBACK_URL.rpartition("/")[2]
    msg = f"key {vendor.api_key}, hook {vendor.webhook_key}, {CALLBACK_URL} or {token}; https://x.y/z?sig=abc"
    vendor.misbehave("createTask", says(422, msg))
    error = await outcome(adapter, jobs)
    told = f"{error} {error.failure.provider_message} {error.failure.provider_code}"
    for secret in (vendor.api_key, vendor.webhook_key, token, "sig=abc"):
        assert secret not in told


async def test_the_declared_safety_is_that_of_the_callback(adapter: KieAdapter) -> None:
    """kie.ai takes no idempotency key; the attempt's token rides in the callback URL (PROMISES §0.1)."""
    assert adapter.submit_safety is SubmitSafety.CALLBACK_CORRELATED
    assert not adapter.charge.is_free
