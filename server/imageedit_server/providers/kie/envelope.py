"""The shape of kie.ai's answers, read strictly: what does not fit is None, never an exception (F45, F46).

The vendor answers with ``{"code", "msg", "data"}``. An older form of its pages has ``message`` for ``msg``.
"""

import re
from dataclasses import dataclass
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json

SUCCESS = 200
MAX_URL_CHARS = 4096

_CODE = re.compile(r"-?[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The vendor's own answer; ``code`` says what happened, whatever the HTTP status (VENDORS §0)."""

    code: int
    msg: str
    data: Any


def read_object(body: bytes | str) -> dict[str, Any]:
    """Return the JSON object in ``body``; an empty one for anything else."""
    try:
        content = read_json(body)
    except BadBody:
        return {}
    return content if isinstance(content, dict) else {}


def read_envelope(body: bytes) -> Envelope | None:
    """Return the vendor's answer, None for a body that is not in its form."""
    content = read_object(body)
    code = _number(content.get("code"))
    if code is None:
        return None
    return Envelope(code, text_of(content.get("msg") or content.get("message")), content.get("data"))


def text_of(value: Any) -> str:
    """Return a string, or an integer where a string is due, as text; empty for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def is_number(value: Any) -> bool:
    """Whether ``value`` is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Any) -> int | None:
    """Return a code, which may be a number in a text."""
    if isinstance(value, str) and _CODE.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_url(value: Any) -> bool:
    """Whether ``value`` can be a web address. Whether it may be fetched is not decided here."""
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS:
        return False
    return value.startswith(("https://", "http://")) and value.isprintable()
