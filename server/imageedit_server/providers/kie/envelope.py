"""The shape of kie.ai's answers, read strictly: what does not fit is None, never an exception (F45, F46).

The vendor answers with ``{"code", "msg", "data"}``. An older form of its pages has ``message`` for ``msg``.
"""

from dataclasses import dataclass
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json

MAX_ID_CHARS = 256
MAX_URL_CHARS = 4096


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
    code = content.get("code")
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    return Envelope(code, text_of(content.get("msg") or content.get("message")), content.get("data"))


def vendor_id(value: Any) -> str | None:
    """Return an id as opaque text of at most 256 printable characters; None for what cannot be one."""
    text = text_of(value)
    fits = 0 < len(text) <= MAX_ID_CHARS and text.isascii() and text.isprintable()
    return text if fits and text.strip() == text else None


def text_of(value: Any) -> str:
    """Return a string, or an integer where a string is due, as text; empty for everything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def is_number(value: Any) -> bool:
    """Whether ``value`` is a JSON number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_url(value: Any) -> bool:
    """Whether ``value`` can be a web address. Whether it may be fetched is not decided here."""
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS:
        return False
    return value.startswith(("https://", "http://")) and value.isascii() and value.isprintable()
