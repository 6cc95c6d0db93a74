"""An exchange with a vendor without what is anybody's: its shape, so that a real answer can become a test.

Pictures and texts are replaced by their sizes. What stays is what programs go by: names, numbers, short words
of the kinds that vendors use as codes, the status and a few headers.
"""

import json
import re
from typing import Any

from imageedit_server.answers.layout import Asked
from imageedit_server.outbound.answers import Answer

SHOWN_HEADERS = frozenset(
    {"content-type", "content-length", "content-encoding", "retry-after", "cf-mitigated"}
)
TOLD_KEYS = frozenset(
    {
        *(
            "type",
            "code",
            "error_code",
            "object",
            "status",
            "state",
            "model",
            "size",
            "quality",
            "background",
        ),
        *("output_format", "finish_reason", "media_type", "mime_type", "moderation_stage", "event"),
    }
)
"""The names whose values are words of the vendor's own."""
MAGIC_BYTES = 12

_WORD = re.compile(r"[A-Za-z0-9_.:/x-]{1,64}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]{64,}", re.ASCII)
_URL = re.compile(r"https?://|/", re.ASCII)


def exchange_of(asked: Asked, answer: Answer) -> dict[str, Any]:
    """Return what may leave the house of one call and its answer, as JSON."""
    return {
        "provider": asked.provider,
        "version": asked.version,
        "request": _shape(dict(asked.brief)),
        "status": answer.status,
        "headers": {name: _header(name, value) for name, value in sorted(answer.headers.items())},
        "ended": answer.ended.value,
        "note": answer.note,
        "body": body_of(answer.body),
    }


def body_of(body: bytes) -> Any:
    """Return the shape of a body: of JSON, of events, or only how many bytes it has and how they begin."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"<{len(body)} bytes, the first are {body[:MAGIC_BYTES].hex()}>"
    if not text.strip():
        return f"<{len(text)} characters of white space>" if text else ""
    try:
        return _shape(json.loads(text))
    except (ValueError, RecursionError):
        pass
    if any(line.startswith(("data:", "event:")) for line in text.splitlines()):
        return [_line(line) for line in text.splitlines()]
    return _text(text)


def _line(line: str) -> Any:
    """Return one line of events."""
    field, colon, value = line.partition(":")
    if not line or not colon:
        return line and _text(line)
    if field == "data":
        try:
            return {"data": _shape(json.loads(value))}
        except (ValueError, RecursionError):
            pass
    return {field[:64]: _value("event", value.strip())}


def _shape(found: Any, key: str = "") -> Any:
    match found:
        case dict():
            return {_name(each): _shape(value, each) for each, value in found.items()}
        case list():
            return [_shape(each, key) for each in found]
        case str():
            return _value(key, found)
    return found


def _name(key: str) -> str:
    return key if _WORD.fullmatch(key) else _text(key)


def _value(key: str, text: str) -> str:
    return text if key in TOLD_KEYS and _WORD.fullmatch(text) and not _URL.match(text) else _text(text)


def _header(name: str, value: str) -> str:
    return value if name in SHOWN_HEADERS else _text(value)


def _text(text: str) -> str:
    if _URL.match(text):
        return f"<URL of {len(text)} characters>"
    kind = "Base64" if _BASE64.fullmatch(text) or text.startswith("data:") else "text"
    return f"<{kind} of {len(text)} characters>" if text else ""
