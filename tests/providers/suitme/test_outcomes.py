"""The paid call: what each way that it can end means, and that it is made once (PROMISES §2, F40 to F46)."""

import socket
from collections.abc import Callable
from dataclasses import replace

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.providers.base import Ambiguous, Job, NotProcessed, Refused, SubmitError, SubmitSafety
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_server.providers.suitme.answers import BASE_WITHOUT_PICTURE, NO_SUCH_BASE
from tests.providers.adapters import Reports, accepted_by
from tests.providers.suitme.conftest import API_KEY, MakeAdapter
from tests.providers.suitme.jobs import Jobs
from tests.vendors.suitme.behaviours import (
    BAD_IDS,
    BROKEN_WIRES,
    UNREADABLE,
    Behaviour,
    busy,
    details,
    only,
    page,
    replies,
    rewrites,
    says,
)
from tests.vendors.suitme.server import FOR_EVER, ImageAs, SuitmeVendor

Reason = FailureReason
DEFAULT = "models/default"
EDIT = "models/edit"


def name_of(value: object) -> str:
    return str(getattr(value, "name", value))


async def submitted(adapter: SuitmeAdapter, job: Job) -> str:
    return (await accepted_by(adapter, await adapter.prepare(job), Reports())).vendor_task_id


async def outcome(adapter: SuitmeAdapter, job: Job) -> SubmitError:
    prepared = await adapter.prepare(job)
    with pytest.raises(SubmitError) as raised:
        await accepted_by(adapter, prepared, Reports())
    return raised.value


async def test_success(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    task_id = await submitted(adapter, jobs.default_model())
    assert [charge.task_id for charge in vendor.ledger] == [task_id]


async def test_an_integer_id_is_text(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    """Page 0 says integer, the wire says string; both are taken (VENDORS §0)."""
    vendor.int_ids = True
    assert await submitted(adapter, jobs.default_model()) == "1001"


@pytest.mark.parametrize(
    ("behaviour", "found"),
    [
        (only("documented", task_id=12345, status="submitted", angle="front"), "12345"),
        (only("the id alone", task_id="task_0123456789abcdef"), "task_0123456789abcdef"),
        (only("path", task_id="../../x?y=1&z#"), "../../x?y=1&z#"),
        (only("zero", task_id=0), "0"),
        (only("longest", task_id="x" * 256), "x" * 256),
        (replies("HTTP 200", lambda honest: replace(honest, status=200)), None),
        (replies("HTTP 201", lambda honest: replace(honest, status=201)), None),
        (rewrites("another msg", lambda body: body | {"msg": None}), None),
        (rewrites("code as text", lambda body: body | {"code": "0"}), None),
        (rewrites("under detail", lambda body: {"detail": body}), None),
    ],
    ids=name_of,
)
async def test_an_id_is_taken_as_it_is(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, behaviour: Behaviour, found: str | None
) -> None:
    vendor.misbehave(DEFAULT, behaviour)
    task_id = await submitted(adapter, jobs.default_model())
    assert task_id == (found or vendor.ledger[0].task_id)


async def test_an_id_in_a_doubtful_answer_is_told(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    """Asking for it is free, and ends the doubt."""
    vendor.misbehave(DEFAULT, rewrites("accepted with 500", lambda body: body, status=500))
    error = await outcome(adapter, jobs.default_model())
    assert isinstance(error, Ambiguous)
    assert error.ids.task_id == vendor.ledger[0].task_id


# Refusals

REFUSALS = [
    (400, 1001, Reason.PROVIDER_REJECTED),
    (404, 1003, Reason.PROVIDER_REJECTED),
    (401, 1005, Reason.PROVIDER_CREDENTIALS),
    (403, 403, Reason.PROVIDER_CREDENTIALS),
    (402, 402, Reason.PROVIDER_CREDITS),
    (413, 413, Reason.PROVIDER_REJECTED),
    (415, 415, Reason.PROVIDER_REJECTED),
    (422, 422, Reason.PROVIDER_REJECTED),
    (451, 451, Reason.PROVIDER_REJECTED),
    # HTTP says that all is well, the body does not (F41)
    (200, 1001, Reason.PROVIDER_REJECTED),
    (200, 1003, Reason.PROVIDER_REJECTED),
    (202, 1005, Reason.PROVIDER_CREDENTIALS),
    (202, 402, Reason.PROVIDER_CREDITS),
    (200, 451, Reason.PROVIDER_REJECTED),
    (200, 501, Reason.PROVIDER_REJECTED),
    # a code that is not the vendor's does not outweigh HTTP
    (404, 0, Reason.PROVIDER_REJECTED),
    (401, 1, Reason.PROVIDER_CREDENTIALS),
]


@pytest.mark.parametrize("flat", [False, True], ids=["wrapped", "flat"])
@pytest.mark.parametrize("answer", REFUSALS, ids=lambda answer: f"{answer[0]} {answer[1]}")
async def test_a_refusal_is_final(
    adapter: SuitmeAdapter,
    vendor: SuitmeVendor,
    jobs: Jobs,
    answer: tuple[int, int, FailureReason],
    flat: bool,
) -> None:
    """The page documents errors flat, the wire has them under ``detail`` (VENDORS §1.6)."""
    status, code, reason = answer
    vendor.misbehave(DEFAULT, says(status, code, "no", flat=flat))
    error = await outcome(adapter, jobs.default_model())
    assert type(error) is Refused
    assert (error.failure.reason, error.failure.provider_code, error.failure.provider_message) == (
        reason,
        str(code),
        "no",
    )
    assert len(vendor.calls(DEFAULT)) == 1
    assert vendor.ledger == []


@pytest.mark.parametrize("status", [400, 404, 405, 413, 415, 422, 501])
@pytest.mark.parametrize(
    "behaviour", [page, lambda status: details(status, "Not Found")], ids=["HTML", "text"]
)
async def test_a_bare_refusal_is_final(
    adapter: SuitmeAdapter,
    vendor: SuitmeVendor,
    jobs: Jobs,
    status: int,
    behaviour: Callable[[int], Behaviour],
) -> None:
    vendor.misbehave(DEFAULT, behaviour(status))
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)
    assert error.failure.provider_code == str(status)


@pytest.mark.parametrize("flat", [False, True], ids=["wrapped", "flat"])
async def test_a_wrong_key_is_told_as_such(
    make_adapter: MakeAdapter, vendor: SuitmeVendor, jobs: Jobs, flat: bool
) -> None:
    vendor.flat_errors = flat
    error = await outcome(make_adapter(api_key="another-key-0123"), jobs.default_model())
    assert (type(error), error.failure.reason) == (Refused, Reason.PROVIDER_CREDENTIALS)
    assert (error.failure.provider_code, error.failure.provider_message) == ("1005", "无效的认证 Token")


async def test_a_validation_error_says_what_and_where(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    """FastAPI repeats what it was given: the person's picture gets no further."""
    job = jobs.default_model(size="7:5", user_id="")
    error = await outcome(adapter, job)
    assert (type(error), error.failure.reason, error.failure.provider_code) == (
        Refused,
        Reason.PROVIDER_REJECTED,
        "422",
    )
    assert "body.user_id: String should have at least 1 character" in error.failure.provider_message
    assert "body.size: Input should be '1:1', '2:3'" in error.failure.provider_message
    assert "base64" not in error.failure.provider_message
    assert vendor.ledger == []


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        ([{"loc": ["body", 0], "msg": "JSON decode error", "type": "x"}], "body.0: JSON decode error"),
        ([{"loc": "body", "msg": "wrong"}], "body: wrong"),
        ([{"msg": "wrong"}, {"loc": [None], "msg": 7}], ": wrong; : 7"),
        ([{"loc": ["a"], "msg": "b"}] * 9, "; ".join(["a: b"] * 5)),
        (["x", None, []], ""),
        ([], ""),
    ],
)
async def test_odd_validation_errors_are_refusals_still(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, detail: object, said: str
) -> None:
    vendor.misbehave(DEFAULT, details(422, detail))
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)
    assert error.failure.provider_message == said


@pytest.mark.parametrize(("status", "code"), [(400, 1001), (422, 422), (200, 1001)])
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
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, status: int, code: int, msg: str
) -> None:
    vendor.misbehave(DEFAULT, says(status, code, msg))
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (Refused, Reason.CONTENT_REFUSED)
    assert error.failure.provider_message == msg


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(429, 429, NotProcessed), (500, 1004, Ambiguous), (402, 402, Refused)]
)
async def test_words_do_not_outweigh_the_status(
    adapter: SuitmeAdapter,
    vendor: SuitmeVendor,
    jobs: Jobs,
    status: int,
    code: int,
    kind: type[SubmitError],
) -> None:
    """What a moderation would say proves nothing under a status that leaves it open."""
    vendor.misbehave(DEFAULT, says(status, code, "see our content policy"))
    error = await outcome(adapter, jobs.default_model())
    assert type(error) is kind
    assert error.failure.reason is not Reason.CONTENT_REFUSED


# Bases


@pytest.mark.parametrize("flat", [False, True], ids=["wrapped", "flat"])
async def test_a_base_that_the_vendor_does_not_know(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, flat: bool
) -> None:
    vendor.flat_errors = flat
    error = await outcome(adapter, jobs.edit("task_0123456789abcdef"))
    assert (type(error), error.failure.reason, error.failure.message) == (
        Refused,
        Reason.PROVIDER_REJECTED,
        NO_SUCH_BASE,
    )
    assert error.failure.provider_code == "1003"
    assert error.failure.provider_message == "基础模特任务不存在: task_0123456789abcdef"


async def test_an_edit_is_no_base(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> None:
    """The vendor looks for bases among default models only (SUITME)."""
    base = await submitted(adapter, jobs.default_model())
    vendor.finish(base)
    edit = await submitted(adapter, jobs.edit(base))
    vendor.finish(edit)
    error = await outcome(adapter, jobs.edit(edit))
    assert (error.failure.reason, error.failure.message) == (Reason.PROVIDER_REJECTED, NO_SUCH_BASE)
    assert len(vendor.ledger) == 2


@pytest.mark.parametrize(
    ("statuses", "image_as", "ending"),
    [
        (FOR_EVER, ImageAs.URL, "(no image)"),
        (("completed",), ImageAs.LOST, "(no image data)"),
        (("completed",), ImageAs.NULL, "(no image data)"),
    ],
)
async def test_a_base_without_a_picture(
    adapter: SuitmeAdapter,
    vendor: SuitmeVendor,
    jobs: Jobs,
    statuses: tuple[str, ...],
    image_as: ImageAs,
    ending: str,
) -> None:
    vendor.statuses, vendor.image_as = statuses, image_as
    base = await submitted(adapter, jobs.default_model())
    error = await outcome(adapter, jobs.edit(base))
    assert (type(error), error.failure.reason) == (Refused, Reason.PROVIDER_REJECTED)
    assert error.failure.message == BASE_WITHOUT_PICTURE
    assert error.failure.provider_message.endswith(ending)


# Waiting

WAITS = [
    (busy("7"), 7),
    (busy("0"), 0),
    (busy("1000000000"), 1e9),
    (busy(None), None),
    (busy("-1"), None),
    (busy("soon"), None),
    (busy("nan"), None),
    (busy("9" * 400), 1e9),
    (busy("Sat, 21 Nov 2026 09:00:30 GMT"), 30),
    (busy("Sat, 21 Nov 2020 09:00:30 GMT"), 0),
    (page(429), None),
    (says(429, 429), None),
    (says(200, 429), None),
    (says(429, 429, flat=True, headers={"retry-after": "3"}), 3),
]


@pytest.mark.parametrize(("behaviour", "seconds"), WAITS, ids=name_of)
async def test_what_was_not_processed_may_be_sent_again(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, behaviour: Behaviour, seconds: float | None
) -> None:
    """F40. The engine clamps what was said."""
    vendor.misbehave(DEFAULT, behaviour)
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (NotProcessed, Reason.PROVIDER_RATE_LIMITED)
    assert error.retry_after_seconds == seconds
    assert len(vendor.calls(DEFAULT)) == 1
    assert vendor.ledger == []


@pytest.mark.parametrize("status", [403, 521, 523, 525, 526, 530])
async def test_an_edge_that_kept_the_call_is_tried_again_later(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, status: int
) -> None:
    vendor.misbehave(DEFAULT, page(status))
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)


async def test_a_call_that_cannot_leave_was_not_processed(
    make_adapter: MakeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = await outcome(make_adapter(base_url=f"http://127.0.0.1:{port}"), jobs.default_model())
    assert (type(error), error.failure.reason) == (NotProcessed, Reason.PROVIDER_UNAVAILABLE)
    assert vendor.ledger == []


# Ambiguous

AMBIGUOUS = [
    *UNREADABLE,
    *BAD_IDS,
    *BROKEN_WIRES,
    *(says(status, 1004, "内部错误: x", works=True) for status in (500, 400, 200)),
    *(says(status, 1002, works=True) for status in (502, 400, 200)),
    *(says(500, code, works=True) for code in (0, 1001, 1003, 1005, 402)),
    says(500, 1004, "内部错误: x", flat=True, works=True),
    *(says(200, code, works=True) for code in (-1, 1, 200, 201, 408, 409, 500, 502, 999, 10**30)),
    *(page(status, works=True) for status in (200, 202, 408, 409, 500, 502, 503, 504, 524)),
    details(500, "Internal Server Error", works=True),
    details(200, [], works=True),
    rewrites("accepted with 500", lambda body: body, status=500),
    rewrites("accepted with 302", lambda body: body, status=302),
]


@pytest.mark.parametrize("behaviour", AMBIGUOUS, ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_what_leaves_it_open_is_ambiguous_and_sent_once(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    vendor.misbehave(DEFAULT, behaviour, times=None)
    error = await outcome(adapter, jobs.default_model())
    assert (type(error), error.failure.reason) == (Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN)
    assert len(vendor.calls(DEFAULT)) == 1
    assert len(vendor.ledger) <= 1


@pytest.mark.parametrize("behaviour", [*BROKEN_WIRES, *BAD_IDS[:2], says(500, 1004, works=True)], ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_an_edit_is_sent_once_too(
    make_adapter: MakeAdapter, vendor: SuitmeVendor, jobs: Jobs, behaviour: Behaviour
) -> None:
    base = await submitted(make_adapter(), jobs.default_model())
    vendor.finish(base)
    vendor.ledger.clear()
    vendor.misbehave(EDIT, behaviour, times=None)
    error = await outcome(make_adapter(), jobs.edit(base))
    assert type(error) is Ambiguous
    assert len(vendor.calls(EDIT)) == 1
    assert len(vendor.ledger) <= 1


# Secrets


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 200])
async def test_what_the_vendor_repeats_is_redacted(
    adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs, status: int
) -> None:
    """P26, F90: the key gets into no task, whoever says it."""
    vendor.misbehave(DEFAULT, says(status, 1004, f"Bearer {API_KEY}; key {API_KEY}; https://x.y/z?sig=abc"))
    error = await outcome(adapter, jobs.default_model())
    told = f"{error!r} {error} {error.failure}"
    assert API_KEY not in told
    assert "sig=abc" not in told


async def test_a_lost_answer_names_no_secret(
    make_adapter: MakeAdapter, vendor: SuitmeVendor, jobs: Jobs
) -> None:
    vendor.misbehave(DEFAULT, BROKEN_WIRES[4])
    error = await outcome(make_adapter(), jobs.default_model())
    assert API_KEY not in f"{error!r} {error.__cause__!r}"


async def test_the_declared_safety(adapter: SuitmeAdapter) -> None:
    """No idempotency key and no callback: an unknown outcome stays unknown (VENDORS §1.1)."""
    assert adapter.submit_safety is SubmitSafety.NONE
    assert not adapter.charge.is_free
