"""kie.ai in the matrix: uploads, createTask, recordInfo, results and callbacks (F40 to F64)."""

import asyncio
import http.client
import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from imageedit_client import AsyncClient, Task
from tests.chaos.cells import (
    QUICK,
    SUCCEEDS,
    Account,
    Cell,
    Expected,
    Scene,
    after_wait,
    closed_port,
    failed,
    refused,
    refused_until_deadline,
    resubmitted,
    unique,
    unknown,
    unprepared,
)
from tests.chaos.pictures import JPEG, MENDED, MORE_THAN_A_JPEG, NO_RESULTS, PNG, SHARES, WEBP, photo
from tests.chaos.service import KIE_ACCOUNT, eventually, reach
from tests.chaos.urls import REFUSED_URLS
from tests.chaos.words import stage_of
from tests.vendors import serving
from tests.vendors.kie.behaviours import (
    BAD_IDS,
    BROKEN_WIRES,
    EDGE_BLOCK,
    FORGETS,
    ODD_PROGRESS,
    UNREADABLE,
    Behaviour,
    busy,
    data,
    only_id,
    page,
    replies,
    rewrites,
    says,
)
from tests.vendors.kie.server import KieVendor
from tests.vendors.serving import Response

ROW = "kie"
Arrange = Callable[[KieVendor], None]


class KieAccount(Account):
    """One account at a kie.ai of its own."""

    vendor: KieVendor

    def __init__(self) -> None:
        self.vendor = KieVendor(
            api_key=f"kie-key-{uuid.uuid4().hex}",
            states=("waiting", "success"),
            creates_per_window=1000,
            picture_side=32,
        )

    @property
    def result_url(self) -> str:
        return self.vendor.result_url

    def table(self, provider: str) -> dict[str, Any]:
        return {
            "adapter": KIE_ACCOUNT,
            "base_url": self.vendor.api_url,
            "upload_url": self.vendor.upload_url,
            "api_key": self.vendor.api_key,
            "poll_seconds": [0.03, 0.03, 0.03],
            "submit_seconds": 10,
            "max_submits": "",
        }

    async def create(self, client: AsyncClient, provider: str, settings: Mapping[str, Any]) -> Task:
        given = {"model": f"{provider}/seedream/4.5-edit".removeprefix("/"), "size": "1:1", **settings}
        return await client.edit_image("at the sea", [photo()], **given)

    def submits(self) -> int:
        return len(self.vendor.calls("createTask"))


def _cell(endpoint: str, name: str, expected: Expected, arrange: Arrange, **more: Any) -> Cell:
    return Cell(
        row=ROW, endpoint=endpoint, name=name, expected=expected, make=KieAccount, arrange=arrange, **more
    )


def _does(endpoint: str, behaviour: Behaviour, times: int | None = 1) -> Arrange:
    return lambda vendor: vendor.misbehave(endpoint, behaviour, times)


# Submit

REFUSALS: Mapping[int, str] = {
    400: "PROVIDER_REJECTED",
    404: "PROVIDER_REJECTED",
    413: "PROVIDER_REJECTED",
    415: "PROVIDER_REJECTED",
    422: "PROVIDER_REJECTED",
    401: "PROVIDER_CREDENTIALS",
    403: "PROVIDER_CREDENTIALS",
    402: "PROVIDER_CREDITS",
    433: "PROVIDER_CREDITS",
    451: "PROVIDER_REJECTED",
    501: "PROVIDER_FAILED",
    505: "PROVIDER_DISABLED",
}
WAITS = (
    *(busy(text) for text in ("0", "1", "-1", "soon", "nan", None, "Sat, 21 Nov 2020 09:00:30 GMT")),
    busy("0", status=200),
    page(429),
    says(429),
    says(455),
    says(455, status=455),
    EDGE_BLOCK,
    page(403),
    page(521),
)
"""F40, F41: not processed, and the next try in a second."""
AMBIGUOUS = (
    *UNREADABLE,
    *BAD_IDS,
    *BROKEN_WIRES,
    *(says(code, works=True) for code in (-1, 0, 201, 408, 409, 500, 502, 503, 999, 10**30)),
    *(says(code) for code in (500, 999)),
    says(500, "This field is required"),
    *(page(status, works=True) for status in (201, 408, 500, 502, 503, 504, 524, 599)),
    *(page(status) for status in (500, 502, 503, 504)),
)
"""F41 to F46: nobody can know."""


def _submit() -> Iterator[Cell]:
    yield _cell("submit", "honest", SUCCEEDS, lambda vendor: None)
    for code, reason in REFUSALS.items():
        for status in (200, code):
            yield _submitted(says(code, "no", status=status), refused(reason))
    for status in (301, 302, 307, 400, 404, 405, 413, 415, 422, 501, 505):
        yield _submitted(page(status), refused("PROVIDER_REJECTED"))
    for code in (400, 422):
        yield _submitted(says(code, "flagged by our content policy"), refused("CONTENT_REFUSED"))
    for behaviour in WAITS:
        yield _submitted(behaviour, after_wait())
    for seconds in ("1000000000", "70"):
        yield _submitted(busy(seconds), refused("PROVIDER_RATE_LIMITED"))
    yield _always(busy("7"), "PROVIDER_RATE_LIMITED", tries=2)
    yield _always(busy(None), "PROVIDER_RATE_LIMITED", tries=4)
    yield _always(says(455), "PROVIDER_UNAVAILABLE", tries=4)
    yield _cell(
        "submit",
        "nobody listens",
        replace(refused_until_deadline("PROVIDER_UNAVAILABLE", attempts=4), submits=0),
        lambda vendor: None,
        settings={"base_url": closed_port()},
        request={"timeout": 13.9},
    )
    for behaviour in AMBIGUOUS:
        yield _submitted(behaviour, unknown(works=behaviour.works), times=None, settings=_limit(behaviour))
    for behaviour in SPELLINGS:
        yield _submitted(behaviour, SUCCEEDS)
    yield _submitted(only_id("foreign id", taskId="../../x?y=1&z#"), failed("PROVIDER_LOST_TASK"))
    for behaviour in (*BROKEN_WIRES[:6], *UNREADABLE[:4], says(500), page(503)):
        yield _cell(
            "resubmit",
            behaviour.name,
            resubmitted(works=behaviour.works),
            _does("createTask", behaviour),
            request={"on_unknown": "RESUBMIT"},
            settings=_limit(behaviour),
        )


def _submitted(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    return _cell("submit", behaviour.name, expected, _does("createTask", behaviour, times), **more)


def _always(behaviour: Behaviour, reason: str, *, tries: int) -> Cell:
    """Never processed: sent again when the vendor says, or after 1, 2 and 4 s, up to the deadline."""
    return _cell(
        "submit",
        f"always {behaviour.name}",
        refused_until_deadline(reason, attempts=tries),
        _does("createTask", behaviour, None),
        request={"timeout": 13.9},
    )


def _limit(behaviour: Behaviour) -> Mapping[str, Any]:
    return QUICK if behaviour in BROKEN_WIRES else {}


def _spelled(name: str, spell: Callable[[str], dict[str, Any]]) -> Behaviour:
    return rewrites(name, lambda body: {"code": 200, "data": spell(body["data"]["taskId"])})


SPELLINGS = (
    _spelled("task_id", lambda found: {"task_id": found}),
    _spelled("recordId", lambda found: {"recordId": found}),
    _spelled("empty taskId first", lambda found: {"taskId": "", "recordId": found}),
    replies("HTTP 500 with code 200", lambda honest: replace(honest, status=500)),
    replies("byte order mark", lambda honest: replace(honest, body=b"\xef\xbb\xbf" + honest.content())),
)


# Uploads

UPLOAD_REFUSALS = ((400, "PROVIDER_REJECTED"), (401, "PROVIDER_CREDENTIALS"), (402, "PROVIDER_CREDITS"))


def _upload() -> Iterator[Cell]:
    for code, reason in UPLOAD_REFUSALS:
        for status in (200, code):
            yield _uploaded(says(code, "no", status=status), unprepared(reason))
    for behaviour in (
        *UNREADABLE,
        *BROKEN_WIRES,
        *(page(status) for status in (403, 429, 500, 502, 503, 504)),
    ):
        yield _uploaded(behaviour, SUCCEEDS)
    for behaviour in (says(500), says(455), says(429), says(999), busy("0"), EDGE_BLOCK, *BAD_UPLOADS):
        yield _uploaded(behaviour, SUCCEEDS)
    yield _cell(
        "upload",
        "nobody listens",
        unprepared("PROVIDER_UNAVAILABLE"),
        lambda vendor: None,
        settings={"upload_url": closed_port()},
        request={"timeout": 7.5},  # time for a second try, and none for a third
    )


def _uploaded(behaviour: Behaviour, expected: Expected) -> Cell:
    return _cell("upload", behaviour.name, expected, _does("upload", behaviour))


BAD_UPLOADS = (
    data("no URL", downloadUrl=None),
    data("URL of another kind", downloadUrl="file:///etc/passwd"),
    data("URL of 10 kB", downloadUrl="https://x.example/" + "x" * 10_240),
    rewrites("not a success", lambda body: body | {"success": False}),
)


# Polls

POLL_ENDS: Mapping[int, str] = {
    401: "PROVIDER_CREDENTIALS",
    402: "PROVIDER_CREDITS",
    403: "PROVIDER_CREDENTIALS",
    505: "PROVIDER_DISABLED",
}
TROUBLE_AT_POLLS = (
    *UNREADABLE,
    *BROKEN_WIRES,
    *(says(code) for code in (-1, 0, 400, 401, 402, 403, 404, 422, 429, 433, 451, 455, 500, 503, 505, 999)),
    *(page(status) for status in (301, 307, 400, 401, 403, 404, 408, 429, 500, 501, 502, 503, 504)),
    busy("7"),
    EDGE_BLOCK,
    FORGETS,
    data("another task's record", taskId="0" * 32),
    data("no state", state=None),
    data("a state nobody knows", state="meditating"),
    data("backwards", state="waiting"),
    data("success without a picture", state="success", resultJson=""),
    data("result null", state="success", resultJson=None),
    data("result no JSON", state="success", resultJson="{"),
    data("no URLs", state="success", resultJson='{"resultUrls":[]}'),
    data("URL no URL", state="success", resultJson='{"resultUrls":["data:image/png;base64,AAAA"]}'),
    *(data(f"progress {progress!r}", progress=progress) for progress in ODD_PROGRESS),
)
"""F42 to F49, F55: what settles nothing is asked again."""


def _poll() -> Iterator[Cell]:
    for behaviour in TROUBLE_AT_POLLS:
        yield _polled(behaviour, SUCCEEDS, times=2 if behaviour not in BROKEN_WIRES else 1)
    for code, reason in POLL_ENDS.items():
        yield _polled(says(code), failed(reason), times=None)
    for code in (408, 501):
        yield _polled(says(code), failed("PROVIDER_FAILED"))
    for behaviour in (FORGETS, says(404)):
        yield _polled(behaviour, failed("PROVIDER_LOST_TASK"), times=None)
    for behaviour in (says(500), page(503), says(429)):
        yield _polled(
            behaviour,
            failed("DEADLINE_EXCEEDED", outcome="ACCEPTED"),
            times=None,
            request={"timeout": 6},
        )
    never = data("never done", state="generating", resultJson="")
    yield _polled(never, failed("DEADLINE_EXCEEDED", outcome="ACCEPTED"), times=None, request={"timeout": 6})
    yield _polled(
        data("success, never a picture", state="success", resultJson=""),
        failed("PROVIDER_BAD_RESULT", billing="CHARGED"),
        times=None,
    )
    for fail_code, msg, reason in (
        ("500", "Internal Error, Please try again later.", "PROVIDER_FAILED"),
        ("", "", "PROVIDER_FAILED"),
        ("400", "Your content was flagged as sensitive", "CONTENT_REFUSED"),
    ):
        yield _cell("poll", f"fail {fail_code} {msg}", failed(reason), _fails(fail_code, msg))


def _fails(code: str, msg: str) -> Arrange:
    return lambda vendor: vendor.fail_next(code, msg)


def _polled(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    name = behaviour.name if times is not None else f"always {behaviour.name}"
    return _cell("poll", name, expected, _does("recordInfo", behaviour, times), **more)


# Results

BAD_RESULT = failed("PROVIDER_BAD_RESULT", billing="CHARGED")
EXPIRED = failed("RESULT_EXPIRED", billing="CHARGED")


def _download() -> Iterator[Cell]:
    for status in (403, 404, 410):
        yield _fetched(page(status), SUCCEEDS)
    yield _fetched(page(410), EXPIRED, times=None)  # 403 and 404 are asked again for long: tests/engine
    for behaviour in (*(page(status) for status in (408, 429, 500, 502, 503, 504)), *BROKEN_DOWNLOADS):
        yield _fetched(behaviour, SUCCEEDS)
    yield _fetched(
        page(503),
        failed("DEADLINE_EXCEEDED", billing="CHARGED", outcome="SUCCEEDED"),
        times=None,
        request={"timeout": 6},
    )
    for behaviour in REFUSED_TRANSFERS:
        yield _fetched(behaviour, BAD_RESULT, times=None)
    for name, content in NO_RESULTS.items():
        yield _fetched(_file(name, content), BAD_RESULT, times=None)
    for name, content in MENDED.items():
        yield _fetched(_file(name, content), SUCCEEDS)
    yield _fetched(_file("JPEG and ZIP", MORE_THAN_A_JPEG), SUCCEEDS)
    for kind, content in (("JPEG", JPEG), ("PNG", PNG), ("WebP", WEBP)):
        yield _fetched(_file(f"{kind} as text", content, "text/html"), SUCCEEDS)
        for share in SHARES:
            part = content[: int(len(content) * share)]
            yield _fetched(_file(f"{share:.0%} of a {kind}", part), BAD_RESULT, times=None)
            yield _fetched(replies(f"{kind} cut at {share:.0%}", _cut(content, share)), SUCCEEDS)
    for location in REFUSED_URLS:
        yield _fetched(_redirect(location), BAD_RESULT, times=None)
        yield _result_at(location)
    yield _fetched(_redirect("/results/round-and-round"), BAD_RESULT, times=None)
    yield _fetched(_redirect("/results/away"), SUCCEEDS)


def _fetched(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    name = behaviour.name if times is not None else f"always {behaviour.name}"
    return _cell("download", name, expected, _does("result", behaviour, times), **more)


def _file(name: str, content: bytes, media_type: str = "image/png") -> Behaviour:
    return replies(name, lambda _: Response(body=content, media_type=media_type))


def _cut(content: bytes, share: float) -> Callable[[Response], serving.Wire]:
    return lambda _: serving.cut(Response(body=content, media_type="image/png"), share)


def _redirect(location: str) -> Behaviour:
    name = f"redirect to {location}"
    return replies(name, lambda _: Response(status=302, media_type="", headers={"location": location}))


def _result_at(url: str) -> Cell:
    result = json.dumps({"resultUrls": [url]})
    told = data(f"result at {url}", resultJson=result)
    expected = BAD_RESULT
    return _cell("download", told.name, expected, _does("recordInfo", told, None))


BROKEN_DOWNLOADS = tuple(
    behaviour
    for behaviour in BROKEN_WIRES
    if behaviour.name not in ("endless body", "gzip bomb", "brotli") and behaviour.works
)
REFUSED_TRANSFERS = tuple(
    behaviour for behaviour in BROKEN_WIRES if behaviour.name in ("endless body", "gzip bomb", "brotli")
)


# Callbacks

Meanwhile = Callable[[Scene], Awaitable[None]]


def _callback() -> Iterator[Cell]:
    for behaviour in AMBIGUOUS:
        if behaviour.works:
            yield _called(f"after {behaviour.name}", behaviour, call_back_when_parked)
    for behaviour in BROKEN_WIRES:
        if behaviour.works:
            yield _called(f"during {behaviour.name}", behaviour, call_back_when_charged)
    hangs = BROKEN_WIRES[0]
    yield _called("ten at once", hangs, ten_callbacks)
    yield _called("with a body that lies", hangs, lying_callback)
    yield _called("of a failure", hangs, call_back_when_parked, failed("PROVIDER_FAILED"), fails=True)
    yield _called("with another id", hangs, other_id, failed("PROVIDER_LOST_TASK"))
    yield _called("never", hangs, None, unknown(works=True), request={"timeout": 8})
    yield _called(
        "never, and nothing was done", BROKEN_WIRES[1], None, unknown(works=False), request={"timeout": 8}
    )


def _called(
    name: str,
    behaviour: Behaviour,
    meanwhile: Meanwhile | None,
    expected: Expected = SUCCEEDS,
    *,
    fails: bool = False,
    **more: Any,
) -> Cell:
    def arrange(vendor: KieVendor) -> None:
        vendor.misbehave("createTask", behaviour, None)
        if fails:
            vendor.fail_next("500", "Internal Error")

    return _cell("callback", name, expected, arrange, meanwhile=meanwhile, settings=_limit(behaviour), **more)


async def call_back_when_charged(scene: Scene) -> None:
    """Call back while the paid call is still under way."""
    vendor = _vendor(scene)
    await eventually(lambda: vendor.ledger)
    [charge] = vendor.ledger
    vendor.finish(charge.task_id)
    assert await vendor.call_back(charge.task_id) == 200


async def call_back_when_parked(scene: Scene) -> None:
    """Call back when the task waits for just that."""
    await _parked(scene)
    await call_back_when_charged(scene)


async def ten_callbacks(scene: Scene) -> None:
    """Call back ten times at once (F57)."""
    await _parked(scene)
    await asyncio.gather(*(call_back_when_charged(scene) for _ in range(10)))


async def lying_callback(scene: Scene) -> None:
    """Claim failure and other pictures: only the poll counts (F58, F60)."""
    await _parked(scene)
    vendor = _vendor(scene)
    [task] = vendor.tasks.values()
    states, task.states = task.states, ["fail"]
    assert await vendor.call_back(task.task_id) == 200
    task.states = states


async def other_id(scene: Scene) -> None:
    """Call back with the id of work that the vendor does not know."""
    await _parked(scene)
    vendor = _vendor(scene)
    [task] = vendor.tasks.values()
    body = json.dumps({"code": 200, "data": {"taskId": "another"}}).encode()
    status = await asyncio.to_thread(post, str(task.body["callBackUrl"]), body)
    assert status == 200


def post(url: str, body: bytes) -> int:
    """Post from outside of the vendor."""
    target = urlsplit(url)
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    try:
        connection.request("POST", target.path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


async def _parked(scene: Scene) -> None:
    await reach(scene.service.client, scene.task_id, lambda task: stage_of(task) == "SUBMIT_UNKNOWN")


def _vendor(scene: Scene) -> KieVendor:
    vendor = scene.account.vendor
    assert isinstance(vendor, KieVendor)
    return vendor


CELLS = unique([*_submit(), *_upload(), *_poll(), *_download(), *_callback()])
