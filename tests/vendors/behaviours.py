"""What every vendor, its edge or the network does wrong: one table for all (PROMISES F40 to F48).

A behaviour takes the place of one honest reply. ``works`` says whether the vendor did the work, and charged
for it, before its reply went wrong; that is what makes sending a paid call again dangerous. A vendor's own
``behaviours`` adds what only it says: its errors, and the shape of its success.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tests.vendors import serving
from tests.vendors.serving import Answer, Response, Wire, json_response

H_contra = TypeVar("H_contra", bound=Response, contravariant=True)


@dataclass(frozen=True)
class Behaviour(Generic[H_contra]):
    """``answer`` makes the reply from the honest one (from an empty one when the vendor did not work)."""

    name: str
    answer: Callable[[H_contra], Answer]
    works: bool = True


Plain = Behaviour[Response]
"""One that takes any vendor's honest reply."""


def page(status: int, text: str = "<html><h1>nginx</h1></html>", *, works: bool = False) -> Plain:
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
) -> Plain:
    """Answer with this body, by default after the work was done (F45)."""
    reply = Response(status=status, body=body, media_type=media_type, headers=headers or {})
    return Behaviour(name, lambda _: reply, works)


def rewrites(name: str, change: Callable[[dict[str, Any]], Any], *, status: int | None = None) -> Plain:
    """Do the work and answer with the honest JSON, changed."""

    def answer(honest: Response) -> Response:
        changed = change(json.loads(honest.content()))
        return json_response(changed, status or honest.status, honest.headers)

    return Behaviour(name, answer)


def data(name: str, **members: Any) -> Plain:
    """Do the work and answer with some members of ``data`` changed."""
    return rewrites(name, lambda body: body | {"data": body["data"] | members})


def only(name: str, **members: Any) -> Plain:
    """Do the work and answer with this ``data`` alone (F46)."""
    return rewrites(name, lambda body: body | {"data": members})


def on_the_wire(name: str, wire: Wire, *, works: bool = True) -> Plain:
    """Misbehave on the socket, by default after the work was done (F43, F44)."""
    return Behaviour(name, lambda _: wire, works)


def replies(name: str, change: Callable[[Response], Answer]) -> Plain:
    """Do the work and send the honest reply in another way."""
    return Behaviour(name, change)


BROKEN_WIRES = (
    on_the_wire("hangs", serving.hang),
    on_the_wire("hangs and did nothing", serving.hang, works=False),
    replies("drips", serving.drip),
    replies("drips the body", serving.drip_body),
    on_the_wire("resets after receipt", serving.reset),
    on_the_wire("resets before receipt", serving.reset, works=False),
    on_the_wire("hangs up", serving.hang_up),
    replies("is cut short", serving.cut),
    replies("resets within the body", serving.reset_within),
    on_the_wire("speaks no HTTP", serving.not_http),
    on_the_wire("endless headers", serving.endless_headers),
    on_the_wire("endless body", serving.endless_body),
    replies("gzip bomb", lambda _: serving.gzip_bomb()),
)
"""F43 and F44: the honest reply is lost on its way, whatever the vendor did."""


def brotli(status: int = 200) -> Plain:
    """Answer in a coding that nobody asked for."""
    return sends("brotli", b"\x0b\x02\x80{}\x03", status=status, headers={"content-encoding": "br"})


@dataclass(frozen=True, kw_only=True)
class Success:
    """The JSON of a vendor's success, with holes: ``whole % (code, data)``, where ``data`` holds a value."""

    status: int = 200
    whole: bytes
    code: bytes
    data: bytes
    """With one hole, for what the adapter looks for: an id, the Base64 of a picture."""
    value: bytes
    number: bytes
    """The whole with one hole, where a number that is none is put."""
    wrong_data: Mapping[str, bytes]
    """Values of other types in the place of ``data``."""
    wrong_codes: Mapping[str, bytes]
    """Values of other types in the place of the code."""

    def with_data(self, value: bytes) -> bytes:
        """Return the body with another ``data``."""
        return self.whole % (self.code, value)

    def with_code(self, value: bytes) -> bytes:
        """Return the body with another code."""
        return self.whole % (value, self.data % self.value)


def unreadable(success: Success) -> tuple[Plain, ...]:
    """Return the bodies that do not say what was done (F45), in place of this success."""
    whole = success.with_code(success.code)
    bodies = {
        "empty": b"",
        "BOM only": b"\xef\xbb\xbf",
        "truncated JSON": whole[: whole.index(success.value) + len(success.value) // 2],
        "NaN": success.number % b"NaN",
        "infinite code": success.with_code(b"1e400"),
        "huge integer": success.number % (b"9" * 5000),
        "deep nesting": success.with_data(b"[" * 100_000 + b"]" * 100_000),
        "empty object": b"{}",
        "empty array": b"[]",
        "null": b"null",
        "a string": b'"%s"' % success.code,
        "data null": success.with_data(b"null"),
        "not UTF-8": success.with_data(success.data % b'"\xff\xfe"'),
        **{f"data {name}": success.with_data(value) for name, value in success.wrong_data.items()},
        **{f"code {name}": success.with_code(value) for name, value in success.wrong_codes.items()},
    }
    html = b"<html>welcome</html>"
    return (
        sends(f"HTML {success.status}", html, status=success.status),
        sends(f"HTML {success.status} that says so", html, status=success.status, media_type="text/html"),
        *(sends(name, body, status=success.status) for name, body in bodies.items()),
    )


def bad_ids(member: str) -> tuple[Plain, ...]:
    """Return what cannot be the id of a task, in ``data`` under this name (F46)."""
    ids: Mapping[str, Any] = {
        "null": None,
        "empty": "",
        "true": True,
        "false": False,
        "float": 1.5,
        "list": ["abc"],
        "object": {"id": "abc"},
        "of 10 kB": "x" * 10_240,
        "with a line feed": "abc\ndef",
        "with NUL": "abc\x00",
        "with a lone surrogate": "abc\ud800",
        "not ASCII": "任务",
    }
    return (only("no id"), *(only(f"id {name}", **{member: value}) for name, value in ids.items()))


ODD_PROGRESS = (float("nan"), float("inf"), -5, 10**30, "50", True, None, [50])
"""F48."""
