"""The switchboard's misbehaviours: what a vendor, its edge or the network does wrong (PROMISES F40 to F52).

A behaviour takes the place of one honest reply. ``works`` says whether the vendor did the work, and charged
for it, before its reply went wrong; that is what makes sending a paid call again dangerous.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.vendors.serving import Answer, Response, Wire, json_response
from tests.vendors.wires import broken_wires


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``answer`` makes the reply from the honest one (from an empty one when the vendor did not work)."""

    name: str
    answer: Callable[[Response], Answer]
    works: bool = True


def says(code: Any, msg: str = "said so", *, status: int = 200, works: bool = False) -> Behaviour:
    """Answer with a body code (F41), by default in a reply whose HTTP status is 200."""
    reply = json_response({"code": code, "msg": msg, "data": None}, status)
    return Behaviour(f"HTTP {status} code {code!r} {msg[:40]}", lambda _: reply, works)


def busy(retry_after: str | None, status: int = 429) -> Behaviour:
    """Answer 429 with a Retry-After header of any form (F40)."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    reply = json_response({"code": 429, "msg": "Too many requests", "data": None}, status, headers)
    return Behaviour(f"HTTP {status} code 429 retry-after {retry_after!r:.40}", lambda _: reply, works=False)


def page(status: int, text: str = "<html><h1>nginx</h1></html>", *, works: bool = False) -> Behaviour:
    """Answer with a web page, as proxies and edges do (F42)."""
    reply = Response(status=status, body=text.encode(), media_type="text/html")
    return Behaviour(f"page {status}", lambda _: reply, works)


def sends(
    name: str, body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Do the work and answer with this body (F45)."""
    reply = Response(status=status, body=body, headers=headers or {})
    return Behaviour(name, lambda _: reply)


def rewrites(name: str, change: Callable[[dict[str, Any]], Any]) -> Behaviour:
    """Do the work and answer with the honest JSON, changed."""
    return Behaviour(name, lambda honest: json_response(change(json.loads(honest.content()))))


def data(name: str, **members: Any) -> Behaviour:
    """Do the work and answer with some members of ``data`` changed."""
    return rewrites(name, lambda body: body | {"data": body["data"] | members})


def only_id(name: str, **members: Any) -> Behaviour:
    """Create the task and answer with this ``data`` alone (F46)."""
    return rewrites(name, lambda body: body | {"data": members})


def on_the_wire(name: str, wire: Wire, *, works: bool = True) -> Behaviour:
    """Do the work and misbehave on the socket (F43, F44)."""
    return Behaviour(name, lambda _: wire, works)


def replies(name: str, change: Callable[[Response], Answer]) -> Behaviour:
    """Do the work and send the honest reply in another way."""
    return Behaviour(name, change)


EDGE_BLOCK = Behaviour(
    "edge block",
    lambda _: Response(status=403, body=b"error code: 1010", media_type="text/plain"),
    works=False,
)
"""What Cloudflare answers before the vendor sees anything (VENDORS §2)."""

FORGETS = says(422, "recordInfo is null")
"""recordInfo of a task that it does not know, or not yet (F49)."""

BROKEN_WIRES = (
    *broken_wires(on_the_wire, replies),
    sends("brotli", b"\x0b\x02\x80{}\x03", headers={"content-encoding": "br"}),
)
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""

UNREADABLE = (
    sends("HTML 200", b"<html>welcome</html>"),
    sends("empty", b""),
    sends("BOM only", b"\xef\xbb\xbf"),
    sends("truncated JSON", b'{"code":200,"msg":"success","data":{"taskId":"abc'),
    sends("NaN", b'{"code":200,"data":{"taskId":NaN}}'),
    sends("infinite code", b'{"code":1e400,"data":{"taskId":"abc"}}'),
    sends("huge integer", b'{"code":200,"data":{"taskId":' + b"9" * 5000 + b"}}"),
    sends("deep nesting", b'{"code":200,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    sends("empty object", b"{}"),
    sends("empty array", b"[]"),
    sends("null", b"null"),
    sends("a string", b'"200"'),
    sends("data null", b'{"code":200,"msg":"success","data":null}'),
    sends("data a list", b'{"code":200,"msg":"success","data":["abc"]}'),
    sends("code a string", b'{"code":"200","data":{"taskId":"abc"}}'),
    sends("code true", b'{"code":true,"data":{"taskId":"abc"}}'),
    sends("not UTF-8", b'{"code":200,"data":{"taskId":"\xff\xfe"}}'),
)
"""F45: a reply that does not say what was done."""

BAD_IDS = (
    only_id("no id"),
    only_id("id null", taskId=None),
    only_id("id empty", taskId=""),
    only_id("id true", taskId=True),
    only_id("id float", taskId=1.5),
    only_id("id list", taskId=["abc"]),
    only_id("id object", taskId={"id": "abc"}),
    only_id("id of 10 kB", taskId="x" * 10_240),
    only_id("id with a line feed", taskId="abc\ndef"),
    only_id("id with NUL", taskId="abc\x00"),
    only_id("id with a lone surrogate", taskId="abc\ud800"),
    only_id("id not ASCII", taskId="任务"),
)
"""F46: ids that cannot be one."""

ODD_PROGRESS = (float("nan"), float("inf"), -5, 10**30, "50", True, None, [50])
"""F48."""
