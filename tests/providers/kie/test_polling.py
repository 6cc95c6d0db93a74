"""What the vendor says of a task, honest and odd (VENDORS §2.2, §2.3; F42, F46 to F49, F55)."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.outbound.client import OutboundError
from imageedit_server.providers.base import Finished, InProgress, Output, VendorTaskUnknown
from imageedit_server.providers.kie import KieAdapter, doubts
from imageedit_server.providers.kie.records import POLL_ENDS, UNKNOWN_TASK, AskAgain
from tests.providers.adapters import Reports, StandingClock, accepted_by
from tests.providers.kie.jobs import Jobs
from tests.vendors.kie.behaviours import (
    BROKEN_WIRES,
    EDGE_BLOCK,
    ODD_PROGRESS,
    UNREADABLE,
    Behaviour,
    busy,
    data,
    page,
    rewrites,
    says,
    sends,
)
from tests.vendors.kie.server import KieVendor

Reason = FailureReason
URL = "https://tempfile.aiquickdraw.com/h/abc.png"


@dataclass(kw_only=True)
class Work:
    """One paid task at the vendor, seen through the adapter."""

    adapter: KieAdapter
    vendor: KieVendor
    clock: StandingClock
    jobs: Jobs
    task_id: str = ""

    async def begin(self) -> None:
        prepared = await self.adapter.prepare(self.jobs.seedream())
        self.task_id = (await accepted_by(self.adapter, prepared, Reports())).vendor_task_id

    async def poll(self) -> InProgress | Finished | Failure:
        return await self.adapter.poll(self.task_id, Reports())


@pytest.fixture
def work(adapter: KieAdapter, vendor: KieVendor, clock: StandingClock, jobs: Jobs) -> Work:
    return Work(adapter=adapter, vendor=vendor, clock=clock, jobs=jobs)


def name_of(value: object) -> str:
    return str(getattr(value, "name", value))


async def test_a_task_goes_through_its_states(
    work: Work,
) -> None:
    await work.begin()
    standing = [await work.poll() for _ in range(4)]
    assert standing[:3] == [InProgress()] * 3
    [url] = work.vendor.result_urls(work.vendor.tasks[work.task_id])
    assert standing[3] == Finished(outputs=(Output(url=url),))


async def test_the_question_byte_by_byte(
    work: Work,
) -> None:
    await work.begin()
    await work.poll()
    [request] = work.vendor.calls("recordInfo")
    assert (request.method, request.path) == ("GET", "/api/v1/jobs/recordInfo")
    assert dict(request.query) == {"taskId": work.task_id}
    assert request.headers["authorization"] == f"Bearer {work.vendor.api_key}"


@pytest.mark.parametrize("task_id", ["../../x", "a b", "a&taskId=b", "a#b", "a%2Fb", "a+b"])
async def test_an_odd_id_stays_one_value(work: Work, task_id: str) -> None:
    work.task_id = task_id
    with pytest.raises(VendorTaskUnknown):
        await work.poll()
    [request] = work.vendor.calls("recordInfo")
    assert dict(request.query) == {"taskId": work.task_id}


@pytest.mark.parametrize(
    "state", ["waiting", "queuing", "generating", "paused", "", None, 7, "success of a kind"]
)
async def test_every_other_state_is_running(work: Work, state: object) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("state", state=state, resultJson=""))
    assert await work.poll() == InProgress()


@pytest.mark.parametrize("state", ["SUCCESS", "succeeded", "completed", " Done ", "paused", "", None, 7])
async def test_a_result_that_is_there_is_a_success_whatever_the_word(work: Work, state: object) -> None:
    await work.begin()
    result = json.dumps({"resultUrls": [URL]})
    work.vendor.misbehave("recordInfo", data("state", state=state, resultJson=result))
    assert await work.poll() == Finished(outputs=(Output(url=URL),))


@pytest.mark.parametrize("state", ["failed", "FAIL", "error", "cancelled", "timeout", "stopped", None])
async def test_a_reason_to_fail_is_a_failure_whatever_the_word(work: Work, state: object) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("state", state=state, failCode="500", failMsg="Internal Error"))
    failed = await work.poll()
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.provider_code) == (Reason.PROVIDER_FAILED, "500")


@pytest.mark.parametrize("state", ["waiting", "queuing", "generating"])
async def test_an_end_under_a_word_for_work_is_believed_when_it_keeps_coming(work: Work, state: str) -> None:
    """Of several pictures the first may be there before the others."""
    await work.begin()
    result = json.dumps({"resultUrls": [URL]})
    work.vendor.misbehave("recordInfo", data("early", state=state, resultJson=result), times=None)
    for _ in range(3):
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward(10)
    assert await work.poll() == Finished(outputs=(Output(url=URL),))


async def test_a_state_may_go_backwards(
    work: Work,
) -> None:
    await work.begin()
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)
    work.vendor.misbehave("recordInfo", data("back", state="waiting", resultJson=""))
    assert await work.poll() == InProgress()


# Results


@pytest.mark.parametrize(
    ("result", "urls"),
    [
        (json.dumps({"resultUrls": [URL]}), [URL]),
        ({"resultUrls": [URL]}, [URL]),
        (json.dumps({"resultUrls": [URL, URL + "2"], "more": 1}), [URL, URL + "2"]),
        ({"resultUrls": ["", None, 7, "ftp://x/y", "https://x/\n", "https://" + "x" * 9000, URL]}, [URL]),
        ({"resultUrls": [f"{URL}?{number}" for number in range(1000)]}, [f"{URL}?{n}" for n in range(16)]),
        ({"resultUrls": [URL] * 3}, [URL]),
        (json.dumps({"resultUrls": URL}), [URL]),
        (json.dumps({"result_urls": [URL]}), [URL]),
        (json.dumps({"resultImageUrl": URL}), [URL]),
        (json.dumps({"resultUrls": [{"url": URL}, {"imageUrl": URL + "2"}]}), [URL, URL + "2"]),
        (json.dumps(json.dumps({"resultUrls": [URL]})), [URL]),
        (json.dumps([URL]), [URL]),
        (URL, [URL]),
        ({"resultUrls": {"url": URL}}, [URL]),
        ({"resultUrls": ["https://files.example/图.png"]}, ["https://files.example/图.png"]),
        ({"resultUrls": ["/files/结果 1.png"]}, ["/files/结果 1.png"]),
        ({"resultUrls": {"0": URL}}, [URL]),
        ({"made": {"file": URL}, "input_urls": [f"{URL}?sent"]}, [URL]),
    ],
    ids=[
        *("string", "object", "two", "one of many is a URL", "a thousand", "the same thrice", "one text"),
        *(
            "other name",
            "one name",
            "objects",
            "twice encoded",
            "list",
            "bare",
            "one object",
            "not ASCII",
            "no host",
            "by number",
            "a name that nobody knows",
        ),
    ],
)
async def test_the_result_is_json_in_a_string(work: Work, result: object, urls: list[str]) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("result", state="success", resultJson=result))
    origin = work.vendor.api_url
    meant = [f"{origin}{url}" if url.startswith("/") else url for url in urls]
    assert await work.poll() == Finished(outputs=tuple(Output(url=url) for url in meant))


NO_RESULTS: list[object] = [
    "",
    None,
    "null",
    "{}",
    "[]",
    "not JSON",
    '{"resultUrls":NaN}',
    "[" * 10_000,
    {"resultUrls": []},
    {"resultUrls": None},
    {"input_urls": [URL], "callBackUrl": URL},
    {"resultObject": {}},
    7,
]


@pytest.mark.parametrize("result", NO_RESULTS, ids=lambda value: f"{value!r:.20}")
async def test_success_without_a_picture_is_believed_at_the_third_time(work: Work, result: object) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("no picture", state="success", resultJson=result), times=None)
    for _ in range(2):
        with pytest.raises(AskAgain):
            await work.poll()
    failed = await work.poll()
    assert isinstance(failed, Failure)
    assert failed.reason is Reason.PROVIDER_BAD_RESULT


async def test_success_whose_picture_comes_later_is_a_success(
    work: Work,
) -> None:
    await work.begin()
    work.vendor.finish(work.task_id)
    work.vendor.misbehave("recordInfo", data("no picture", resultJson=""), times=2)
    for _ in range(2):
        with pytest.raises(AskAgain):
            await work.poll()
    assert isinstance(await work.poll(), Finished)


# Failures


@pytest.mark.parametrize(
    ("code", "msg", "reason", "retryable"),
    [
        ("500", "Internal Error, Please try again later.", Reason.PROVIDER_FAILED, True),
        (500, "Internal Error", Reason.PROVIDER_FAILED, True),
        ("422", "aspect ratio is wrong", Reason.PROVIDER_FAILED, False),
        ("422", "CONTENT_POLICY_BLOCKED: the input was flagged as sensitive.", Reason.CONTENT_REFUSED, False),
        ("500", "The output contains NSFW content", Reason.CONTENT_REFUSED, False),
        ("CONTENT_MODERATION", "", Reason.CONTENT_REFUSED, False),
        ("400", "图片内容违规", Reason.CONTENT_REFUSED, False),
        ("451", "failed to download the image", Reason.PROVIDER_FAILED, False),
        ("400", "the name is case-sensitive", Reason.PROVIDER_FAILED, False),
    ],
)
async def test_a_failure_is_told_in_the_vendors_words(
    work: Work,
    code: Any,
    msg: str,
    reason: FailureReason,
    retryable: bool,
) -> None:
    work.vendor.fail_next(code, msg)
    await work.begin()
    work.vendor.finish(work.task_id)
    failed = await work.poll()
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.retryable) == (reason, retryable)
    assert (failed.provider_code, failed.provider_message) == (str(code), msg)


@pytest.mark.parametrize("value", [None, "", [], {}, 1.5, True])
async def test_a_failure_may_say_nothing(work: Work, value: object) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("fail", state="fail", failCode=value, failMsg=value))
    failed = await work.poll()
    assert failed == Failure(reason=Reason.PROVIDER_FAILED, message="The provider failed.")


async def test_a_failure_never_tells_a_secret(
    work: Work,
) -> None:
    work.vendor.fail_next(work.vendor.api_key, f"{work.vendor.webhook_key} https://x.y/z?signature=abc")
    await work.begin()
    work.vendor.finish(work.task_id)
    told = repr(await work.poll())
    for secret in (work.vendor.api_key, work.vendor.webhook_key, "signature=abc"):
        assert secret not in told


# Answers that settle nothing

ASK_AGAIN = [
    *UNREADABLE,
    *(says(code) for code in (429, 433, 455, 500, 502, 503, 999, -1, 0, 201)),
    *(page(status) for status in (401, 402, 403, 404, 422, 429, 500, 502, 503, 504)),
    busy("60"),
    EDGE_BLOCK,
    sends("another shape", b'{"code":200,"data":"success"}'),
    data("another task", taskId="f" * 32, state="fail"),
]


@pytest.mark.parametrize("behaviour", ASK_AGAIN, ids=name_of)
async def test_what_settles_nothing_is_asked_again_for_ever(
    work: Work,
    behaviour: Behaviour,
) -> None:
    """F42, F45: the work is paid for, and a proxy's page is not the vendor's word. The deadline ends it."""
    await work.begin()
    work.vendor.misbehave("recordInfo", behaviour, times=5)
    for _ in range(5):
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward(3600)
    work.vendor.finish(work.task_id)
    assert isinstance(await work.poll(), Finished)
    assert len(work.vendor.ledger) == 1


@pytest.mark.parametrize("behaviour", BROKEN_WIRES, ids=name_of)
@pytest.mark.usefixtures("waits_are_over")
async def test_a_broken_wire_is_asked_again(
    work: Work,
    behaviour: Behaviour,
) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", behaviour)
    with pytest.raises((AskAgain, OutboundError)):
        await work.poll()


# Answers that are believed when they keep coming

PATIENCE = [
    (401, Reason.PROVIDER_CREDENTIALS, 300),
    (403, Reason.PROVIDER_CREDENTIALS, 300),
    (402, Reason.PROVIDER_CREDITS, 300),
    (505, Reason.PROVIDER_DISABLED, 300),
]


@pytest.mark.parametrize(("code", "reason", "seconds"), PATIENCE)
async def test_an_answer_that_keeps_coming_ends_the_task(
    work: Work,
    code: int,
    reason: FailureReason,
    seconds: int,
) -> None:
    """F49, F55: paid work is not given up for a moment's trouble, and not waited for in vain."""
    await work.begin()
    work.vendor.misbehave("recordInfo", says(code, "said so"), times=None)
    for _ in range(10):
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward((seconds - 1) / 10)
    work.clock.forward(1)
    failed = await work.poll()
    assert isinstance(failed, Failure)
    assert (failed.reason, failed.provider_code) == (reason, str(code))
    assert failed.provider_message == "said so"


async def test_a_failed_record_says_more_than_the_code_that_it_comes_with(work: Work) -> None:
    await work.begin()
    record = {"state": "fail", "failCode": "400", "failMsg": "Your request was flagged as sensitive."}

    def failed(body: dict[str, Any]) -> dict[str, Any]:
        return body | {"code": 501, "msg": "Playground task failed.", "data": body["data"] | record}

    work.vendor.misbehave("recordInfo", rewrites("501 with a record", failed))
    found = await work.poll()
    assert isinstance(found, Failure)
    assert (found.reason, found.provider_code) == (Reason.CONTENT_REFUSED, "400")
    assert "flagged as sensitive" in found.provider_message


@pytest.mark.parametrize(
    ("credits", "usage"),
    [
        (12, {"credits": "12"}),
        (6.5, {"credits": "6.5"}),
        (0, {"credits": "0"}),
        (None, {}),
        ("12", {}),
        (-1, {}),
    ],
)
async def test_the_credits_that_were_used_are_told(
    work: Work, credits: object, usage: dict[str, str]
) -> None:
    await work.begin()
    result = json.dumps({"resultUrls": [URL]})
    work.vendor.misbehave(
        "recordInfo", data("credits", state="success", resultJson=result, creditsConsumed=credits)
    )
    finished = await work.poll()
    assert isinstance(finished, Finished)
    assert finished.usage == usage


@pytest.mark.parametrize("code", [408, 501])
async def test_some_codes_are_believed_at_once(work: Work, code: int) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", says(code))
    failed = await work.poll()
    assert isinstance(failed, Failure)
    assert failed.reason is Reason.PROVIDER_FAILED


def test_every_end_has_a_test() -> None:
    assert set(POLL_ENDS) == {code for code, *_ in PATIENCE} | {408, 501}


@pytest.mark.parametrize("code", sorted(UNKNOWN_TASK))
async def test_a_task_may_be_unknown_at_first(work: Work, code: int) -> None:
    """F49: eventual consistency. How long is too long is the engine's to say."""
    await work.begin()
    work.vendor.misbehave("recordInfo", says(code, "recordInfo is null"), times=10)
    for _ in range(10):
        with pytest.raises(VendorTaskUnknown):
            await work.poll()
    assert await work.poll() == InProgress()


@pytest.mark.parametrize("code", sorted(UNKNOWN_TASK))
async def test_a_known_task_is_lost_only_when_that_is_said_thrice(work: Work, code: int) -> None:
    """Its work is paid for: one slow replica of the vendor's must not end it."""
    await work.begin()
    for _ in range(3):
        work.vendor.misbehave("recordInfo", data("known", state="generating"))
        assert await work.poll() == InProgress()
        work.vendor.misbehave("recordInfo", says(code), times=2)
        for _ in range(2):
            with pytest.raises(AskAgain):
                await work.poll()
    work.vendor.misbehave("recordInfo", says(code))
    with pytest.raises(VendorTaskUnknown):
        await work.poll()


async def test_a_clock_that_jumps_does_not_end_a_task(work: Work) -> None:
    """F33: an hour between two answers is a jump, not a patience."""
    await work.begin()
    work.vendor.misbehave("recordInfo", says(401), times=2)
    for _ in range(2):
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward(3600)
    assert await work.poll() == InProgress()


async def test_the_patience_with_one_answer_is_not_that_with_another(work: Work) -> None:
    await work.begin()
    for code in (402, 402, 401, 402, 401):
        work.vendor.misbehave("recordInfo", says(code))
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward(300)
    assert await work.poll() == InProgress()


async def test_each_task_has_a_patience_of_its_own(work: Work) -> None:
    work.vendor.misbehave("recordInfo", says(402), times=None)
    for work.task_id in ("a", "b", "a", "b"):
        with pytest.raises(AskAgain):
            await work.poll()
    work.clock.forward(300)
    for work.task_id in ("a", "b"):
        assert isinstance(await work.poll(), Failure)


async def test_the_memory_is_bounded(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is forgotten gets the whole patience again."""
    monkeypatch.setattr(doubts, "MAX_TASKS", 2)
    work.vendor.misbehave("recordInfo", says(402), times=None)
    for work.task_id in ("a", "b", "c", "a", "b", "c", "a"):
        with pytest.raises(AskAgain):
            await work.poll()
        work.clock.forward(300)


# Progress


@pytest.mark.parametrize(
    ("progress", "percent"), [(0, 0), (45, 45), (99.9, 99), (100, 100), (-5, 0), (250, 100), (10**30, 100)]
)
async def test_progress_is_clamped(
    work: Work,
    progress: float,
    percent: int,
) -> None:
    await work.begin()
    work.vendor.misbehave("recordInfo", data("progress", progress=progress))
    assert await work.poll() == InProgress(progress_percent=percent)


@pytest.mark.parametrize("progress", ODD_PROGRESS, ids=lambda value: f"{value!r:.20}")
async def test_odd_progress_stops_nothing(work: Work, progress: object) -> None:
    """F48: NaN and infinity are no JSON, so that the whole answer is asked for again."""
    await work.begin()
    work.vendor.misbehave("recordInfo", data("progress", progress=progress))
    try:
        standing = await work.poll()
    except AskAgain:
        standing = InProgress()
    assert standing in (InProgress(), InProgress(progress_percent=0), InProgress(progress_percent=100))
