"""Suitme in the matrix: creating a default model, its standing, and its picture (F40 to F55)."""

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from imageedit_client import AsyncClient, Task
from tests.chaos.cells import (
    QUICK,
    SUCCEEDS,
    Account,
    Cell,
    Expected,
    after_wait,
    closed_port,
    failed,
    refused,
    refused_until_deadline,
    resubmitted,
    unique,
    unknown,
)
from tests.chaos.pictures import FEW_SHARES, NO_RESULTS, PNG, photo
from tests.chaos.urls import REFUSED_URLS
from tests.vendors.serving import Response
from tests.vendors.suitme.behaviours import (
    BAD_IDS,
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
    replies,
    says,
)
from tests.vendors.suitme.server import FOR_EVER, SuitmeVendor

ROW = "suitme"
CREATE, TASK, RESULT = "models/default", "tasks", "results"
Arrange = Callable[[SuitmeVendor], None]


class SuitmeAccount(Account):
    """One account at a Suitme of its own."""

    vendor: SuitmeVendor

    def __init__(self) -> None:
        self.vendor = SuitmeVendor(
            api_key=f"suitme-{uuid.uuid4().hex}", statuses=("submitted", "completed"), picture_side=32
        )

    @property
    def result_url(self) -> str:
        return self.vendor.url

    def table(self, provider: str) -> dict[str, Any]:
        return {
            "adapter": "suitme",
            "base_url": self.vendor.url,
            "api_key": self.vendor.api_key,
            "poll_seconds": [0.03, 0.03, 0.03],
            "submit_seconds": 10,
        }

    async def create(self, client: AsyncClient, provider: str, settings: Mapping[str, Any]) -> Task:
        model = f"{provider}/model-edit"
        return await client.create_default_model(photo(), user_id="u", model=model, **settings)

    def submits(self) -> int:
        return len(self.vendor.calls(CREATE))


def _cell(
    endpoint: str, name: str, expected: Expected, arrange: Arrange = lambda vendor: None, **more: Any
) -> Cell:
    return Cell(
        row=ROW, endpoint=endpoint, name=name, expected=expected, make=SuitmeAccount, arrange=arrange, **more
    )


def _does(endpoint: str, behaviour: Behaviour, times: int | None = 1) -> Arrange:
    return lambda vendor: vendor.misbehave(endpoint, behaviour, times)


# Submit

REFUSALS: Sequence[tuple[Behaviour, str]] = (
    *(
        (says(status, code, flat=flat), reason)
        for status, code, reason in (
            (400, 1001, "PROVIDER_REJECTED"),
            (401, 1005, "PROVIDER_CREDENTIALS"),
            (404, 1003, "PROVIDER_REJECTED"),
            (403, None, "PROVIDER_CREDENTIALS"),
            (402, None, "PROVIDER_CREDITS"),
            (200, 1001, "PROVIDER_REJECTED"),
            (200, 1005, "PROVIDER_CREDENTIALS"),
            (200, 1003, "PROVIDER_REJECTED"),
        )
        for flat in (False, True)
    ),
    (details(401, "Not authenticated"), "PROVIDER_CREDENTIALS"),
    (details(422, [{"loc": ["body", "size"], "msg": "no", "type": "value_error"}]), "PROVIDER_REJECTED"),
    *((page(status), "PROVIDER_REJECTED") for status in (301, 307, 400, 404, 405, 413, 415, 422, 501)),
    (says(400, 1001, "内容敏感"), "CONTENT_REFUSED"),
)
WAITS = (*(busy(text) for text in ("0", "1", "-1", "soon", None)), page(429), page(403), says(200, 429))
DOUBTS = (
    *(
        says(status, code)
        for status, code in ((500, 1004), (502, 1002), (500, 1001), (503, None), (408, None))
    ),
    *(says(status, 1004, works=True, flat=True) for status in (500, 502, 504)),
    *(says(200, code) for code in (1002, 1004, 500, 999, -1)),
    *(page(status) for status in (200, 202, 408, 409, 500, 502, 503, 504, 524, 599)),
    *(page(status, works=True) for status in (500, 502, 503, 504)),
)


def _submit() -> Iterator[Cell]:
    yield _cell("submit", "honest", SUCCEEDS)
    for behaviour, reason in REFUSALS:
        yield _submitted(behaviour, refused(reason))
    for behaviour in WAITS:
        yield _submitted(behaviour, after_wait())
    for behaviour in (*DOUBTS, *UNREADABLE, *BAD_IDS, *BROKEN_WIRES):
        yield _submitted(behaviour, unknown(works=behaviour.works), times=None, settings=_limit(behaviour))
    yield _submitted(busy(str(10**9)), refused("PROVIDER_RATE_LIMITED"))
    yield _submitted(
        busy("7"),
        refused_until_deadline("PROVIDER_RATE_LIMITED", attempts=2),
        times=None,
        request={"timeout": 13.9},
    )
    yield _cell(
        "submit",
        "nobody listens",
        replace(refused_until_deadline("PROVIDER_UNAVAILABLE", attempts=4), submits=0),
        settings={"base_url": closed_port()},
        request={"timeout": 13.9},
    )
    yield _cell("submit", "ids are integers", SUCCEEDS, _int_ids)
    for behaviour in (*BROKEN_WIRES[:6], *UNREADABLE[:2], page(503), page(503, works=True)):
        yield _cell(
            "resubmit",
            behaviour.name,
            resubmitted(works=behaviour.works),
            _does(CREATE, behaviour),
            request={"on_unknown": "RESUBMIT"},
            settings=_limit(behaviour),
        )


def _int_ids(vendor: SuitmeVendor) -> None:
    vendor.int_ids = True


def _submitted(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    return _cell("submit", behaviour.name, expected, _does(CREATE, behaviour, times), **more)


def _limit(behaviour: Behaviour) -> Mapping[str, Any]:
    return QUICK if behaviour in BROKEN_WIRES else {}


# Polls

TROUBLE_AT_POLLS = (
    *UNREADABLE,
    *BROKEN_WIRES,
    FORGETS,
    *(
        says(status, code)
        for status, code in ((401, 1005), (400, 1001), (500, 1004), (502, 1002), (200, 999))
    ),
    *(page(status) for status in (200, 301, 307, 401, 403, 404, 408, 429, 500, 502, 503, 504)),
    busy("7"),
    data("another job's standing", task_id="task_0000000000000000"),
    data("no status", status=None),
    data("a status nobody knows", status="meditating"),
    data("backwards", status="submitted"),
    *(data(f"progress {progress!r}", progress=progress) for progress in ODD_PROGRESS),
)
LOST = failed("DEADLINE_EXCEEDED", outcome="ACCEPTED")
BAD_RESULT = failed("PROVIDER_BAD_RESULT", billing="CHARGED")
INLINE = base64.b64encode(PNG).decode()


def _poll() -> Iterator[Cell]:
    for behaviour in TROUBLE_AT_POLLS:
        yield _polled(behaviour, SUCCEEDS, times=1 if behaviour in BROKEN_WIRES else 2)
    yield _polled(FORGETS, failed("PROVIDER_LOST_TASK"), times=None)
    for behaviour in (page(503), says(401, 1005), busy(None)):
        yield _polled(behaviour, LOST, times=None, request={"timeout": 6})
    yield _cell("poll", "processing for ever", LOST, _for_ever, request={"timeout": 6})
    for message, reason in (
        ("Apimart 调用失败: [apimart_timeout] gone", "PROVIDER_FAILED"),
        (None, "PROVIDER_FAILED"),
        ("内容违规", "CONTENT_REFUSED"),
    ):
        yield _cell("poll", f"failed {message}", failed(reason), _fails(message))
    for name, image in NO_PICTURES.items():
        yield _polled(completed(f"completed with {name}", image), BAD_RESULT, times=None)
    for text in (INLINE, f"data:image/png;base64,{INLINE}"):
        name = f"completed with {text[:10]}"
        yield _polled(completed(name, {"image_base64": text, "image_url": None}), SUCCEEDS)


NO_PICTURES: Mapping[str, Any] = {
    "null": None,
    "nulls": {"image_base64": None, "image_url": None},
    "empty texts": {"image_base64": "", "image_url": ""},
    "no Base64": {"image_base64": "!!!", "image_url": None},
    "Base64 of no picture": {"image_base64": base64.b64encode(b"hello").decode(), "image_url": None},
    "a file URL": {"image_base64": None, "image_url": "file:///etc/passwd"},
    "a list": [],
}


def _for_ever(vendor: SuitmeVendor) -> None:
    vendor.statuses = FOR_EVER


def _fails(message: str | None) -> Arrange:
    return lambda vendor: vendor.fail_next(message)


def _polled(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    name = behaviour.name if times is not None else f"always {behaviour.name}"
    return _cell("poll", name, expected, _does(TASK, behaviour, times), **more)


# Results

EXPIRED = failed("RESULT_EXPIRED", billing="CHARGED")
CAPPED = ("endless body", "gzip bomb")


def _download() -> Iterator[Cell]:
    for status in (403, 404, 410):
        yield _fetched(page(status), SUCCEEDS)
    yield _fetched(page(410), EXPIRED, times=None)  # 403 and 404 are asked again for long: tests/engine
    for status in (408, 429, 500, 502, 503, 504):
        yield _fetched(page(status), SUCCEEDS)
    for behaviour in BROKEN_WIRES[-6:]:
        if behaviour.works:
            capped = behaviour.name in CAPPED
            yield _fetched(behaviour, BAD_RESULT if capped else SUCCEEDS, times=None if capped else 1)
    for name, content in list(NO_RESULTS.items())[::3]:
        yield _fetched(_file(name, content), BAD_RESULT, times=None)
    for share in FEW_SHARES:
        yield _fetched(_file(f"{share:.0%} of a PNG", PNG[: int(len(PNG) * share)]), BAD_RESULT, times=None)
    yield _fetched(_redirect(REFUSED_URLS[0]), BAD_RESULT, times=None)
    for location in REFUSED_URLS:
        told = completed(f"result at {location}", {"image_base64": None, "image_url": location})
        yield _cell("download", told.name, BAD_RESULT, _does(TASK, told, None))


def _fetched(behaviour: Behaviour, expected: Expected, *, times: int | None = 1, **more: Any) -> Cell:
    name = behaviour.name if times is not None else f"always {behaviour.name}"
    return _cell("download", name, expected, _does(RESULT, behaviour, times), **more)


def _file(name: str, content: bytes) -> Behaviour:
    return replies(name, lambda _: Response(body=content, media_type="image/png"))


def _redirect(location: str) -> Behaviour:
    reply = Response(status=302, media_type="", headers={"location": location})
    return replies(f"redirect to {location}", lambda _: reply)


CELLS = unique([*_submit(), *_poll(), *_download()])
