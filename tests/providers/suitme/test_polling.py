"""What the vendor says of a job, honest and odd (VENDORS §1.5; F42, F43, F45 to F50, F53, F55)."""

import base64
from dataclasses import dataclass

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.client import OutboundError
from imageedit_server.providers.base import Finished, InProgress, Output, VendorTaskUnknown
from imageedit_server.providers.suitme import SuitmeAdapter
from imageedit_server.providers.suitme.standings import AskAgain
from tests.providers.adapters import Reports, accepted_by
from tests.providers.suitme.conftest import API_KEY
from tests.providers.suitme.jobs import Jobs
from tests.vendors.suitme.behaviours import (
    BROKEN_WIRES,
    FORGETS,
    ODD_PROGRESS,
    UNREADABLE,
    Behaviour,
    busy,
    completed,
    data,
    details,
    page,
    says,
    sends,
)
from tests.vendors.suitme.server import FOR_EVER, ImageAs, SuitmeVendor

Reason = FailureReason
URL = "https://suitme.oss-cn-hangzhou.aliyuncs.com/task_1.png?Expires=1&Signature=abc"
PIXELS = b"the bytes of a picture"
BASE64 = base64.b64encode(PIXELS).decode()


@dataclass(kw_only=True)
class Work:
    """One paid job at the vendor, seen through the adapter."""

    adapter: SuitmeAdapter
    vendor: SuitmeVendor
    jobs: Jobs
    task_id: str = ""

    async def begin(self) -> None:
        prepared = await self.adapter.prepare(self.jobs.default_model())
        self.task_id = (await accepted_by(self.adapter, prepared, Reports())).vendor_task_id

    async def poll(self) -> InProgress | Finished | Failure:
        return await self.adapter.poll(self.task_id, Reports())

    async def answers(self, behaviour: Behaviour) -> InProgress | Finished | Failure:
        await self.begin()
        self.vendor.misbehave("tasks", behaviour)
        return await self.poll()


@pytest.fixture
def work(adapter: SuitmeAdapter, vendor: SuitmeVendor, jobs: Jobs) -> Work:
    return Work(adapter=adapter, vendor=vendor, jobs=jobs)


def name_of(value: object) -> str:
    return str(getattr(value, "name", value))


async def test_a_job_goes_through_its_statuses(work: Work) -> None:
    await work.begin()
    standing = [await work.poll() for _ in range(4)]
    assert standing[:3] == [
        InProgress(progress_percent=0),
        InProgress(progress_percent=45),
        InProgress(progress_percent=45),
    ]
    assert standing[3] == Finished(outputs=(Output(url=work.vendor.result_url(work.task_id)),))


async def test_the_question_byte_by_byte(work: Work) -> None:
    await work.begin()
    await work.poll()
    [request] = work.vendor.calls("tasks")
    assert (request.method, request.path, request.query) == ("GET", f"/tasks/{work.task_id}", {})
    assert request.headers["authorization"] == f"Bearer {API_KEY}"
    assert request.body == b""


async def test_an_integer_id_is_asked_for_as_text(work: Work) -> None:
    work.vendor.int_ids = True
    await work.begin()
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)
    assert work.vendor.calls("tasks")[0].path == "/tasks/1001"


@pytest.mark.parametrize(
    ("task_id", "path"),
    [
        ("../../x", "/tasks/..%2F..%2Fx"),
        ("a b", "/tasks/a%20b"),
        ("a?b=c", "/tasks/a%3Fb%3Dc"),
        ("a#b", "/tasks/a%23b"),
        ("a%2Fb", "/tasks/a%252Fb"),
        ("a+b", "/tasks/a%2Bb"),
        ("任务", "/tasks/%E4%BB%BB%E5%8A%A1"),
    ],
)
async def test_an_odd_id_stays_one_segment(work: Work, task_id: str, path: str) -> None:
    """F46."""
    work.task_id = task_id
    with pytest.raises(VendorTaskUnknown):
        await work.poll()
    assert work.vendor.calls("tasks")[0].path == path


@pytest.mark.parametrize("status", ["submitted", "processing"])
async def test_a_job_that_works_is_running(work: Work, status: object) -> None:
    """F47: also when a picture is there already."""
    found = await work.answers(data("status", status=status, image={"image_url": URL}))
    assert found == InProgress(progress_percent=0)


@pytest.mark.parametrize("status", ["paused", "", None, 7, ["failed"]])
async def test_every_other_status_is_running(work: Work, status: object) -> None:
    assert await work.answers(data("status", status=status)) == InProgress(progress_percent=0)


@pytest.mark.parametrize("status", ["COMPLETED", "success", "paused", "", None, 7, ["failed"]])
async def test_a_picture_that_is_there_is_a_success_whatever_the_word(work: Work, status: object) -> None:
    found = await work.answers(data("status", status=status, image={"image_url": URL}))
    assert found == Finished(outputs=(Output(url=URL),))


@pytest.mark.parametrize("status", ["FAILED", "error", "cancelled", "stopped", None])
async def test_a_message_of_error_is_a_failure_whatever_the_word(work: Work, status: object) -> None:
    found = await work.answers(data("status", status=status, error_message="It fell. CORS policy."))
    assert isinstance(found, Failure)
    assert (found.reason, found.provider_message) == (Reason.PROVIDER_FAILED, "It fell. CORS policy.")


async def test_a_job_may_work_for_ever(work: Work) -> None:
    """F50: the vendor has no limit of its own; the task's deadline ends it."""
    work.vendor.statuses = FOR_EVER
    await work.begin()
    assert [await work.poll() for _ in range(20)][1:] == [InProgress(progress_percent=45)] * 19
    assert len(work.vendor.ledger) == 1


async def test_a_status_may_go_backwards(work: Work) -> None:
    await work.begin()
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)
    work.vendor.misbehave("tasks", data("back", status="processing", progress=10))
    assert await work.poll() == InProgress(progress_percent=10)


@pytest.mark.parametrize("kind", ["model", "default", "edit", "outfit", None])
async def test_the_type_does_not_matter(work: Work, kind: object) -> None:
    """Old pages say ``default`` where the wire says ``model``."""
    found = await work.answers(data("type", type=kind, status="completed", image={"image_url": URL}))
    assert isinstance(found, Finished)


# Results


@pytest.mark.parametrize(
    ("image", "output"),
    [
        ({"image_base64": None, "image_url": URL}, Output(url=URL)),
        ({"image_url": "http://oss/x.png"}, Output(url="http://oss/x.png")),
        ({"image_base64": BASE64, "image_url": URL}, Output(url=URL)),
        ({"image_base64": BASE64, "image_url": None}, Output(content=PIXELS)),
        ({"image_base64": BASE64, "image_url": ""}, Output(content=PIXELS)),
        ({"image_base64": BASE64, "image_url": "ftp://x/y"}, Output(content=PIXELS)),
        ({"image_base64": f"data:image/png;base64,{BASE64}"}, Output(content=PIXELS)),
        ({"image_base64": f"{BASE64[:8]}\r\n{BASE64[8:]}\n"}, Output(content=PIXELS)),
    ],
)
async def test_the_picture_is_a_url_or_whole(work: Work, image: object, output: Output) -> None:
    assert await work.answers(completed("picture", image)) == Finished(outputs=(output,))


@pytest.mark.parametrize(
    "image",
    [
        None,
        {},
        {"image_base64": None, "image_url": None},
        {"image_base64": "", "image_url": ""},
        {"image_url": "ftp://x/y.png"},
        {"image_url": "results of x"},
        {"image_url": "https://x/\n"},
        {"image_url": "https://" + "x" * 9000},
        {"image_url": 7},
        {"image_url": [URL]},
        {"image_base64": BASE64[:-1]},
        {"image_base64": "not Base64!"},
        {"image_base64": f"data:image/png,{BASE64}"},
        {"image_base64": "data:image/png;base64,"},
        {"image_base64": 7},
        URL,
        [],
    ],
    ids=lambda value: f"{value!r:.40}",
)
async def test_completed_without_a_picture_is_a_failure(work: Work, image: object) -> None:
    """VENDORS §1.5: the vendor's own copy failed, and it will not try again."""
    found = await work.answers(completed("no picture", image))
    assert found == Failure(
        reason=Reason.PROVIDER_BAD_RESULT, message="The provider reported success without a picture."
    )


@pytest.mark.parametrize("image_as", [ImageAs.LOST, ImageAs.NULL])
async def test_a_vendor_that_lost_its_copy(work: Work, image_as: ImageAs) -> None:
    work.vendor.image_as = image_as
    await work.begin()
    work.vendor.finish(work.task_id)
    found = await work.poll()
    assert isinstance(found, Failure)
    assert found.reason is Reason.PROVIDER_BAD_RESULT


async def test_a_whole_picture_may_be_larger_than_any_other_answer(work: Work) -> None:
    content = bytes(3_000_000)
    text = base64.b64encode(content).decode()
    found = await work.answers(completed("large", {"image_base64": text}))
    assert found == Finished(outputs=(Output(content=content),))


# Failures


@pytest.mark.parametrize(
    ("msg", "reason", "code", "retryable"),
    [
        ("Unknown error from Apimart", Reason.PROVIDER_FAILED, "", False),
        (
            "Apimart 调用失败: [apimart_param_error] Parameter error: x",
            Reason.PROVIDER_FAILED,
            "apimart_param_error",
            False,
        ),
        (
            "Apimart 调用失败: [apimart_insufficient_balance] Insufficient balance: x",
            Reason.PROVIDER_FAILED,
            "apimart_insufficient_balance",
            False,
        ),
        ("[apimart_server_error] Server error: 502", Reason.PROVIDER_FAILED, "apimart_server_error", True),
        ("[apimart_rate_limited] Rate limit exceeded", Reason.PROVIDER_FAILED, "apimart_rate_limited", True),
        (
            "[apimart_server_error] rejected by the safety system",
            Reason.CONTENT_REFUSED,
            "apimart_server_error",
            False,
        ),
        ("Generated image rejected by content moderation.", Reason.CONTENT_REFUSED, "", False),
        ("PROHIBITED_CONTENT", Reason.CONTENT_REFUSED, "", False),
        ("图片内容违规", Reason.CONTENT_REFUSED, "", False),
        ("the name is case-sensitive", Reason.PROVIDER_FAILED, "", False),
    ],
)
async def test_a_failure_is_told_in_the_vendors_words(
    work: Work, msg: str, reason: FailureReason, code: str, retryable: bool
) -> None:
    work.vendor.fail_next(msg)
    await work.begin()
    work.vendor.finish(work.task_id)
    found = await work.poll()
    assert isinstance(found, Failure)
    assert (found.reason, found.provider_code, found.retryable) == (reason, code, retryable)
    assert found.provider_message == msg


@pytest.mark.parametrize("value", [None, "", [], {}, 1.5, True])
async def test_a_failure_may_say_nothing(work: Work, value: object) -> None:
    found = await work.answers(data("fail", status="failed", error_message=value))
    assert found == Failure(reason=Reason.PROVIDER_FAILED, message="The provider failed.")


async def test_a_failure_beats_a_picture(work: Work) -> None:
    found = await work.answers(data("fail", status="failed", image={"image_url": URL}))
    assert isinstance(found, Failure)


async def test_a_failure_never_tells_a_secret(work: Work) -> None:
    work.vendor.fail_next(f"{API_KEY} https://x.y/z?signature=abc Authorization: Bearer {API_KEY}")
    await work.begin()
    work.vendor.finish(work.task_id)
    told = repr(await work.poll())
    assert API_KEY not in told
    assert "signature=abc" not in told


# Jobs that the vendor does not know


@pytest.mark.parametrize(
    "behaviour", [FORGETS, says(404, 1003, flat=True), says(200, 1003), says(404, 1003, None)], ids=name_of
)
async def test_an_unknown_job_is_told_as_such(work: Work, behaviour: Behaviour) -> None:
    """F49: how long it may be unknown is the engine's to decide."""
    with pytest.raises(VendorTaskUnknown):
        await work.answers(behaviour)
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)


# Answers that settle nothing

ASK_AGAIN = [
    *UNREADABLE,
    *(
        says(status, code)
        for status, code in ((500, 1004), (502, 1002), (401, 1005), (400, 1001), (200, 1004))
    ),
    *(says(200, code) for code in (429, 500, 999, -1, 10**30)),
    says(500, 1004, "内部错误: x", flat=True),
    *(page(status) for status in (200, 301, 400, 401, 402, 403, 404, 422, 429, 500, 502, 503, 504)),
    details(404, "Not Found"),
    details(422, [{"loc": ["path", "task_id"], "msg": "Input should be a valid integer", "type": "int"}]),
    busy("60"),
    sends("data a text", b'{"code":0,"data":"completed"}', status=200),
    data("another job", task_id="task_ffffffffffffffff", status="failed"),
]


@pytest.mark.parametrize("behaviour", ASK_AGAIN, ids=name_of)
async def test_what_settles_nothing_is_asked_again(work: Work, behaviour: Behaviour) -> None:
    """F42, F45, F55: the work is paid for, and a proxy's page is not the vendor's word."""
    await work.begin()
    work.vendor.misbehave("tasks", behaviour, times=5)
    for _ in range(5):
        with pytest.raises(AskAgain):
            await work.poll()
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)
    assert len(work.vendor.ledger) == 1


async def test_a_revoked_key_is_asked_again(work: Work) -> None:
    """F55: whoever gives the key back before the deadline gets the picture."""
    await work.begin()
    work.vendor.finish(work.task_id)
    work.vendor.api_key = "another"
    with pytest.raises(AskAgain) as raised:
        await work.poll()
    assert str(raised.value) == "HTTP 401 code 1005"
    work.vendor.api_key = API_KEY
    assert isinstance(await work.poll(), Finished)


@pytest.mark.parametrize("behaviour", BROKEN_WIRES, ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_a_broken_wire_is_asked_again(work: Work, behaviour: Behaviour) -> None:
    """F43, F44. An endless body may not be larger than a picture that comes whole."""
    await work.begin()
    work.vendor.misbehave("tasks", behaviour)
    with pytest.raises((AskAgain, OutboundError)):
        await work.poll()


# Progress


@pytest.mark.parametrize(
    ("progress", "percent"), [(0, 0), (45, 45), (99.9, 99), (100, 100), (-5, 0), (250, 100), (10**30, 100)]
)
async def test_progress_is_clamped(work: Work, progress: float, percent: int) -> None:
    found = await work.answers(data("progress", status="processing", progress=progress))
    assert found == InProgress(progress_percent=percent)


@pytest.mark.parametrize("progress", ODD_PROGRESS, ids=lambda value: f"{value!r:.20}")
async def test_odd_progress_stops_nothing(work: Work, progress: object) -> None:
    """F48: NaN and infinity are no JSON, so that the whole answer is asked for again."""
    try:
        found = await work.answers(data("progress", status="processing", progress=progress))
    except AskAgain:
        found = InProgress()
    assert found in (InProgress(), InProgress(progress_percent=0), InProgress(progress_percent=100))
