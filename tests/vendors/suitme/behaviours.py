"""The switchboard's misbehaviours: what a vendor, its proxy or the network does wrong (PROMISES F40 to F52).

A behaviour takes the place of one honest reply. ``works`` says whether the vendor did the work, and charged
for it, before its reply went wrong; that is what makes sending a paid call again dangerous.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.vendors.serving import Answer, Response, Wire, json_response
from tests.vendors.wires import broken_wires

ACCEPTED = 202


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``answer`` makes the reply from the honest one (from an empty one when the vendor did not work)."""

    name: str
    answer: Callable[[Response], Answer]
    works: bool = True


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


def page(status: int, text: str = "<html><h1>nginx</h1></html>", *, works: bool = False) -> Behaviour:
    """Answer with a web page, as proxies do (F42)."""
    reply = Response(status=status, body=text.encode(), media_type="text/html")
    return Behaviour(f"page {status}{' after work' if works else ''}", lambda _: reply, works)


def sends(
    name: str, body: bytes, *, status: int = ACCEPTED, headers: Mapping[str, str] | None = None
) -> Behaviour:
    """Do the work and answer with this body (F45)."""
    reply = Response(status=status, body=body, headers=headers or {})
    return Behaviour(name, lambda _: reply)


def rewrites(name: str, change: Callable[[dict[str, Any]], Any], *, status: int | None = None) -> Behaviour:
    """Do the work and answer with the honest JSON, changed."""

    def answer(honest: Response) -> Response:
        return json_response(change(json.loads(honest.content())), status or honest.status)

    return Behaviour(name, answer)


def data(name: str, **members: Any) -> Behaviour:
    """Do the work and answer with some members of ``data`` changed."""
    return rewrites(name, lambda body: body | {"data": body["data"] | members})


def only(name: str, **members: Any) -> Behaviour:
    """Do the work and answer with this ``data`` alone (F46)."""
    return rewrites(name, lambda body: body | {"data": members})


def replies(name: str, change: Callable[[Response], Answer]) -> Behaviour:
    """Do the work and send the honest reply in another way."""
    return Behaviour(name, change)


def on_the_wire(name: str, wire: Wire, *, works: bool = True) -> Behaviour:
    """Misbehave on the socket, by default after the work was done (F43, F44)."""
    return Behaviour(name, lambda _: wire, works)


def completed(name: str, image: Any) -> Behaviour:
    """Say that a job is done, with this ``image`` (VENDORS §1.5)."""
    return data(name, status="completed", progress=100, image=image)


FORGETS = says(404, 1003, "任务不存在: task_0123456789abcdef")
"""What /tasks says of a job that it does not know, or not yet (F49)."""

BROKEN_WIRES = (
    *broken_wires(on_the_wire, replies),
    sends("brotli", b"\x0b\x02\x80{}\x03", headers={"content-encoding": "br"}),
)
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""

UNREADABLE = (
    sends("HTML 202", b"<html>welcome</html>"),
    sends("empty", b""),
    sends("BOM only", b"\xef\xbb\xbf"),
    sends("truncated JSON", b'{"code":0,"msg":"accepted","data":{"task_id":"task_0'),
    sends("NaN", b'{"code":0,"data":{"task_id":NaN}}'),
    sends("infinite code", b'{"code":1e400,"data":{"task_id":"abc"}}'),
    sends("huge integer", b'{"code":0,"data":{"task_id":' + b"9" * 5000 + b"}}"),
    sends("deep nesting", b'{"code":0,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    sends("empty object", b"{}"),
    sends("empty array", b"[]"),
    sends("null", b"null"),
    sends("a string", b'"0"'),
    sends("data null", b'{"code":0,"msg":"accepted","data":null}'),
    sends("data a list", b'{"code":0,"msg":"accepted","data":["abc"]}'),
    sends("no code", b'{"msg":"accepted","data":{"task_id":"abc"}}'),
    sends("code a string", b'{"code":"0","data":{"task_id":"abc"}}'),
    sends("code false", b'{"code":false,"data":{"task_id":"abc"}}'),
    sends("detail a list", b'{"detail":[],"code":0,"data":{"task_id":"abc"}}'),
    sends("not UTF-8", b'{"code":0,"data":{"task_id":"\xff\xfe"}}'),
)
"""F45: a reply that does not say what was done."""

BAD_IDS = (
    only("no id"),
    only("id null", task_id=None),
    only("id empty", task_id=""),
    only("id false", task_id=False),
    only("id float", task_id=1.5),
    only("id list", task_id=["abc"]),
    only("id object", task_id={"id": "abc"}),
    only("id of 10 kB", task_id="x" * 10_240),
    only("id with a line feed", task_id="abc\ndef"),
    only("id with NUL", task_id="abc\x00"),
    only("id with a lone surrogate", task_id="abc\ud800"),
    only("id not ASCII", task_id="任务"),
    only("id a step up", task_id=".."),
    only("id a step", task_id="."),
    only("id with a space after", task_id="abc "),
    only("the page's other word", taskId="abc"),
)
"""F46: ids that cannot be one."""

ODD_PROGRESS = (float("nan"), float("inf"), -5, 10**30, "50", True, None, [50])
"""F48."""
