"""The switchboard's misbehaviours: what a vendor, its edge or the network does wrong (PROMISES F40 to F54).

A behaviour takes the place of one honest reply. ``works`` says whether the vendor did the work, and charged
for it, before its reply went wrong; that is what makes sending a paid call again dangerous.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.vendors.serving import Answer, Line, Response, Wire, json_response
from tests.vendors.wires import broken_wires


@dataclass(frozen=True, kw_only=True, slots=True)
class Honest:
    """The honest reply; ``events`` are its pieces when it is a stream."""

    response: Response = field(default_factory=Response)
    events: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """``answer`` makes the reply from the honest one (from an empty one when the vendor did not work)."""

    name: str
    answer: Callable[[Honest], Answer]
    works: bool = True


def error(
    status: int,
    code: Any = None,
    *,
    message: str = "said so",
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    works: bool = False,
) -> Behaviour:
    """Answer with an error object, by default without having done anything."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    reply = json_response(body, status, headers)
    asks = " ".join(f"{header}={value}" for header, value in (headers or {}).items())
    worked = " after work" if works else ""
    return Behaviour(f"HTTP {status} {code!r} {kind} {message[:60]} {asks}{worked}", lambda _: reply, works)


def busy(headers: Mapping[str, str], code: str = "rate_limit_exceeded") -> Behaviour:
    """Answer 429 with Retry-After headers of any form (F40)."""
    return error(429, code, message="Rate limit reached", kind="requests", headers=headers)


def page(status: int, text: str = "<html><h1>nginx</h1></html>", *, works: bool = False) -> Behaviour:
    """Answer with a web page, as proxies and edges do (F42)."""
    reply = Response(status=status, body=text.encode(), media_type="text/html")
    return Behaviour(f"page {status}{' after work' if works else ''}", lambda _: reply, works)


def sends(
    name: str,
    body: bytes,
    *,
    status: int = 200,
    media_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    works: bool = True,
) -> Behaviour:
    """Answer with this body, by default after the work was done (F45)."""
    reply = Response(status=status, body=body, media_type=media_type, headers=headers or {})
    return Behaviour(name, lambda _: reply, works)


def rewrites(name: str, change: Callable[[dict[str, Any]], Any]) -> Behaviour:
    """Do the work and answer with the honest JSON, changed."""

    def answer(honest: Honest) -> Answer:
        changed = change(json.loads(honest.response.content()))
        return json_response(changed, headers=honest.response.headers)

    return Behaviour(name, answer)


def each(name: str, **members: Any) -> Behaviour:
    """Do the work and answer with some members of each entry of ``data`` changed."""
    return rewrites(name, lambda body: body | {"data": [entry | members for entry in body["data"]]})


def pictures(name: str, change: Callable[[bytes], bytes]) -> Behaviour:
    """Do the work and answer with the bytes of each picture changed (F52)."""

    def changed(entry: dict[str, Any]) -> dict[str, Any]:
        content = change(base64.b64decode(entry["b64_json"]))
        return entry | {"b64_json": base64.b64encode(content).decode()}

    return rewrites(name, lambda body: body | {"data": [changed(entry) for entry in body["data"]]})


def coded(name: str, change: Callable[[str], Any]) -> Behaviour:
    """Do the work and answer with the Base64 of each picture changed (F53)."""
    return rewrites(
        name,
        lambda body: (
            body | {"data": [entry | {"b64_json": change(entry["b64_json"])} for entry in body["data"]]}
        ),
    )


def on_the_wire(name: str, wire: Wire, *, works: bool = True) -> Behaviour:
    """Misbehave on the socket, by default after the work was done (F43, F44)."""
    return Behaviour(name, lambda _: wire, works)


def replies(name: str, change: Callable[[Response], Answer]) -> Behaviour:
    """Do the work and send the honest reply in another way."""
    return Behaviour(name, lambda honest: change(honest.response))


# Streams


def event_of(data: dict[str, Any] | str, name: str = "") -> bytes:
    """Write one server-sent event."""
    head = f"event: {name}\n" if name else ""
    text = data if isinstance(data, str) else json.dumps(data)
    return f"{head}data: {text}\n\n".encode()


def stream(name: str, change: Callable[[list[bytes]], Sequence[bytes]], *, reset: bool = False) -> Behaviour:
    """Do the work and send other events; with ``reset`` break off after them."""

    def answer(honest: Honest) -> Answer:
        events = change(list(honest.events))
        if reset:
            return _broken_off(events)
        return Response(body=b"".join(events), media_type="text/event-stream")

    return Behaviour(name, answer)


def _broken_off(events: Sequence[bytes]) -> Wire:
    async def wire(line: Line) -> None:
        await line.send(
            b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for event in events:
            await line.send(b"%x\r\n%s\r\n" % (len(event), event))
        await asyncio.sleep(0.02)  # a reset would overtake what was sent
        line.reset()

    return wire


BROKEN_WIRES = (*broken_wires(on_the_wire, replies),)
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""

UNREADABLE = (
    sends("HTML 200", b"<html>welcome</html>", media_type="text/html"),
    sends("empty", b""),
    sends("BOM only", b"\xef\xbb\xbf"),
    sends("truncated JSON", b'{"created":1,"data":[{"b64_json":"iVBORw0KGgo'),
    sends("NaN", b'{"created":NaN,"data":[{"b64_json":"iVBORw0KGgo="}]}'),
    sends("infinite number", b'{"created":1e400,"data":[{"b64_json":"iVBORw0KGgo="}]}'),
    sends("huge integer", b'{"created":' + b"9" * 5000 + b',"data":[{"b64_json":"iVBORw0KGgo="}]}'),
    sends("deep nesting", b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    sends("empty object", b"{}"),
    sends("empty array", b"[]"),
    sends("null", b"null"),
    sends("a string", b'"ok"'),
    sends("data null", b'{"created":1,"data":null}'),
    sends("data an object", b'{"created":1,"data":{"b64_json":"iVBORw0KGgo="}}'),
    sends("data of strings", b'{"created":1,"data":["iVBORw0KGgo="]}'),
    sends("not UTF-8", b'{"created":1,"data":[{"b64_json":"\xff\xfe"}]}'),
    sends("br unasked", b"\x0b\x02\x80{}\x03", headers={"content-encoding": "br"}),
    rewrites("no pictures", lambda body: body | {"data": []}),
    each("only empty texts", url="", b64_json="", revised_prompt=""),
    each("only nulls", url=None, b64_json=None),
)
"""F45, F47: a success that has nothing which could be a picture."""
