"""What kie.ai says wrong in its own words, beside what every vendor does (PROMISES F40 to F52)."""

from typing import Any

from tests.vendors import behaviours
from tests.vendors.behaviours import (
    ODD_PROGRESS,
    Success,
    bad_ids,
    brotli,
    data,
    on_the_wire,
    page,
    replies,
    rewrites,
    sends,
    unreadable,
)
from tests.vendors.behaviours import Plain as Behaviour
from tests.vendors.behaviours import only as only_id
from tests.vendors.serving import Response, json_response

__all__ = [
    "BAD_IDS",
    "BROKEN_WIRES",
    "EDGE_BLOCK",
    "FORGETS",
    "ODD_PROGRESS",
    "UNREADABLE",
    "Behaviour",
    "busy",
    "data",
    "on_the_wire",
    "only_id",
    "page",
    "replies",
    "rewrites",
    "says",
    "sends",
]


def says(code: Any, msg: str = "said so", *, status: int = 200, works: bool = False) -> Behaviour:
    """Answer with a body code (F41), by default in a reply whose HTTP status is 200."""
    reply = json_response({"code": code, "msg": msg, "data": None}, status)
    return Behaviour(f"HTTP {status} code {code!r} {msg[:40]}", lambda _: reply, works)


def busy(retry_after: str | None, status: int = 429) -> Behaviour:
    """Answer 429 with a Retry-After header of any form (F40)."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    reply = json_response({"code": 429, "msg": "Too many requests", "data": None}, status, headers)
    return Behaviour(f"HTTP {status} code 429 retry-after {retry_after!r:.40}", lambda _: reply, works=False)


EDGE_BLOCK = Behaviour(
    "edge block",
    lambda _: Response(status=403, body=b"error code: 1010", media_type="text/plain"),
    works=False,
)
"""What Cloudflare answers before the vendor sees anything (VENDORS §2)."""

FORGETS = says(422, "recordInfo is null")
"""recordInfo of a task that it does not know, or not yet (F49)."""

BROKEN_WIRES = (*behaviours.BROKEN_WIRES, brotli())
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""

UNREADABLE = unreadable(
    Success(
        whole=b'{"code":%s,"msg":"success","data":%s}',
        code=b"200",
        data=b'{"taskId":%s}',
        value=b'"abc"',
        number=b'{"code":200,"data":{"taskId":%s}}',
        wrong_data={"a list": b'["abc"]'},
        wrong_codes={"a word": b'"ok"', "true": b"true"},
    )
)
"""F45: a reply that does not say what was done."""

BAD_IDS = bad_ids("taskId")
"""F46: ids that cannot be one."""
