"""What SuitMe says wrong in its own words, beside what every vendor does (PROMISES F40 to F52)."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.vendors import behaviours
from tests.vendors.behaviours import (
    ODD_PROGRESS,
    Success,
    bad_ids,
    brotli,
    data,
    on_the_wire,
    only,
    page,
    replies,
    rewrites,
    unreadable,
)
from tests.vendors.behaviours import Plain as Behaviour
from tests.vendors.serving import json_response

__all__ = [
    "ACCEPTED",
    "BAD_IDS",
    "BROKEN_WIRES",
    "FORGETS",
    "ODD_PROGRESS",
    "UNREADABLE",
    "Behaviour",
    "busy",
    "completed",
    "data",
    "details",
    "on_the_wire",
    "only",
    "page",
    "replies",
    "rewrites",
    "says",
    "sends",
]

ACCEPTED = 202

sends = partial(behaviours.sends, status=ACCEPTED)
"""Do the work and answer with this body (F45)."""


def says(
    status: int,
    code: Any,
    msg: Any = "said so",
    *,
    flat: bool = False,
    works: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Behaviour:
    """Answer with an error, under ``detail`` as on the wire or flat as documented (VENDORS §1.6)."""
    body = {"code": code, "msg": msg, "data": None}
    reply = json_response(body if flat else {"detail": body}, status, headers)
    shape = "flat" if flat else "wrapped"
    worked = " after work" if works else ""
    return Behaviour(f"HTTP {status} {shape} code {code!r:.8} {msg!s:.40}{worked}", lambda _: reply, works)


def details(status: int, detail: Any, *, works: bool = False) -> Behaviour:
    """Answer as FastAPI does by itself: a text or a list of problems."""
    reply = json_response({"detail": detail}, status)
    return Behaviour(f"HTTP {status} detail {detail!r:.40}", lambda _: reply, works)


def busy(retry_after: str | None) -> Behaviour:
    """Answer 429 with a Retry-After header of any form (F40)."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    reply = json_response({"detail": "Too Many Requests"}, 429, headers)
    return Behaviour(f"429 retry-after {retry_after!r:.40}", lambda _: reply, works=False)


def completed(name: str, image: Any) -> Behaviour:
    """Say that a job is done, with this ``image`` (VENDORS §1.5)."""
    return data(name, status="completed", progress=100, image=image)


FORGETS = says(404, 1003, "任务不存在: task_0123456789abcdef")
"""What /tasks says of a job that it does not know, or not yet (F49)."""

BROKEN_WIRES = (*behaviours.BROKEN_WIRES, brotli(ACCEPTED))
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""

UNREADABLE = (
    *unreadable(
        Success(
            status=ACCEPTED,
            whole=b'{"code":%s,"msg":"accepted","data":%s}',
            code=b"0",
            data=b'{"task_id":%s}',
            value=b'"abc"',
            number=b'{"code":0,"data":{"task_id":%s}}',
            wrong_data={"a list": b'["abc"]'},
            wrong_codes={"a word": b'"ok"', "false": b"false"},
        )
    ),
    sends("no code", b'{"msg":"accepted","data":{"task_id":"abc"}}'),
    sends("detail a list", b'{"detail":[],"code":0,"data":{"task_id":"abc"}}'),
)
"""F45: a reply that does not say what was done."""

BAD_IDS = (
    *bad_ids("task_id"),
    only("id a step up", task_id=".."),
    only("id a step", task_id="."),
    only("id with a space after", task_id="abc "),
    only("the page's other word", taskId="abc"),
)
"""F46: ids that cannot be one."""
