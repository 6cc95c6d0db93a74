"""What OpenAI and its relays say wrong in their own words, beside what all do (PROMISES F40 to F54)."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from tests.vendors import behaviours
from tests.vendors.behaviours import (
    BROKEN_WIRES,
    Plain,
    Success,
    brotli,
    on_the_wire,
    page,
    replies,
    rewrites,
    sends,
    unreadable,
)
from tests.vendors.serving import Answer, Line, Response, Wire, json_response

__all__ = [
    "BROKEN_WIRES",
    "UNREADABLE",
    "Behaviour",
    "Honest",
    "busy",
    "coded",
    "each",
    "error",
    "event_of",
    "on_the_wire",
    "page",
    "pictures",
    "replies",
    "rewrites",
    "sends",
    "stream",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Honest(Response):
    """The honest reply; ``events`` are its pieces when it is a stream."""

    events: Sequence[bytes] = ()

    @classmethod
    def of(cls, response: Response, events: Sequence[bytes] = ()) -> "Honest":
        """Make one of a reply."""
        given = {field.name: getattr(response, field.name) for field in fields(Response)}
        return cls(**given, events=events)


Behaviour = behaviours.Behaviour[Honest]


def error(
    status: int,
    code: Any = None,
    *,
    message: str = "said so",
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    works: bool = False,
) -> Plain:
    """Answer with an error object, by default without having done anything."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    reply = json_response(body, status, headers)
    asks = " ".join(f"{header}={value}" for header, value in (headers or {}).items())
    worked = " after work" if works else ""
    return Plain(f"HTTP {status} {code!r} {kind} {message[:60]} {asks}{worked}", lambda _: reply, works)


def busy(headers: Mapping[str, str], code: str = "rate_limit_exceeded") -> Plain:
    """Answer 429 with Retry-After headers of any form (F40)."""
    return error(429, code, message="Rate limit reached", kind="requests", headers=headers)


def each(name: str, **members: Any) -> Plain:
    """Do the work and answer with some members of each entry of ``data`` changed."""
    return rewrites(name, lambda body: body | {"data": [entry | members for entry in body["data"]]})


def pictures(name: str, change: Callable[[bytes], bytes]) -> Plain:
    """Do the work and answer with the bytes of each picture changed (F52)."""

    def changed(entry: dict[str, Any]) -> dict[str, Any]:
        content = change(base64.b64decode(entry["b64_json"]))
        return entry | {"b64_json": base64.b64encode(content).decode()}

    return rewrites(name, lambda body: body | {"data": [changed(entry) for entry in body["data"]]})


def coded(name: str, change: Callable[[str], Any]) -> Plain:
    """Do the work and answer with the Base64 of each picture changed (F53)."""
    return rewrites(
        name,
        lambda body: (
            body | {"data": [entry | {"b64_json": change(entry["b64_json"])} for entry in body["data"]]}
        ),
    )


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


UNREADABLE = (
    *unreadable(
        Success(
            whole=b'{"created":%s,"data":%s}',
            code=b"1",
            data=b'[{"note":%s}]',
            value=b'"a picture"',
            number=b'{"created":%s,"data":[]}',
            wrong_data={"of other strings": b'["aVZCT1J3MEtHZ289"]'},
            wrong_codes={},
        )
    ),
    brotli(),
    rewrites("no pictures", lambda body: body | {"data": []}),
    each("only empty texts", url="", b64_json="", revised_prompt=""),
    each("only nulls", url=None, b64_json=None),
)
"""F45, F47: a success that has nothing which could be a picture."""
