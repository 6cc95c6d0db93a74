"""Errors in whatever form they come: OpenAI's object, envelopes of relays, an entry's or a response's own.

Of a success, a body is an error only where it says so: an ``error``, ``success`` false, a code that is no
success. What it means is decided in ``refusals``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from imageedit_server.core.charge import Billing

_MESSAGES = ("message", "msg", "description", "detail", "error_message", "error_msg")
_CODES = ("code", "error_code", "status_code")
_SUCCESS_CODES = frozenset({"", "0", "200", "201", "202", "success", "succeeded", "ok"})
_FAILED_STATUSES = frozenset({"fail", "failed", "failure", "error"})
_PLACES = ("response", "result", "output", "data")
_LISTS = ("data", "images", "results", "output")
_WITHHELD = ("is_image_safe", "respect_moderation")
"""Members of an entry that are false where its picture was made and withheld (VENDORS §8)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VendorError:
    """An error object, whatever shape it came in. ``words`` are its code and its type.

    ``inner`` is the code of what is behind the vendor; ``billing`` what the body tells of what was spent.
    """

    message: str = ""
    code: str = ""
    kind: str = ""
    param: str = ""
    inner: str = ""
    billing: Billing = Billing.NOT_CHARGED

    @property
    def words(self) -> tuple[str, ...]:
        """What the vendor calls it, the most exact first."""
        return tuple(filter(None, (self.code, self.kind)))


def read_error(value: Any) -> VendorError | None:
    """Find the error in a JSON value; None where it does not say that it is one."""
    if isinstance(value, list):
        return _entries_error(value)
    if not isinstance(value, dict):
        return None
    found = _named(value) or _nested(value) or (_error(value) if _is_envelope(value) else None)
    return found and replace(found, billing=_spent(value, found.billing))


def errors_in(value: Any) -> Iterator[VendorError]:
    """Yield the errors of a success: its own, or those of the entries beside which there are pictures."""
    if found := read_error(value):
        yield found
        return
    lists = [value] if isinstance(value, list) else []
    if isinstance(value, dict):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
    for entry in (entry for entries in lists for entry in entries):
        if isinstance(entry, dict) and (error := _entry_error(entry)):
            yield error


def error_of(value: Any) -> VendorError:
    """Read a JSON value that is known to be an error, such as ``{"description": …, "code": 4}``."""
    if found := read_error(value):
        return found
    return replace(_error(value), billing=_spent(value)) if isinstance(value, dict) else VendorError()


def _named(value: Mapping[str, Any]) -> VendorError | None:
    """Read ``error`` or the first of ``errors``; of a bare text, the code stands beside it."""
    match value.get("error") or value.get("errors"):
        case dict() as inner if inner:
            return _error(inner)
        case str() as text if text:
            return VendorError(message=text, code=_code(value), kind=_text(value.get("type")))
        case [dict() as inner, *_]:
            return _error(inner)
        case [str() as text, *_]:
            return VendorError(message=text, code=_code(value))
        case True:
            return _error(value)
    return None


def _nested(value: Mapping[str, Any]) -> VendorError | None:
    for name in _PLACES:
        inner = value.get(name)
        if isinstance(inner, dict) and (found := _named(inner) or _failed(inner)):
            return found
    lists = (value[name] for name in _LISTS if isinstance(value.get(name), list))
    return next(filter(None, map(_entries_error, lists)), None)


def _failed(inner: Mapping[str, Any]) -> VendorError | None:
    status = _text(inner.get("status") or inner.get("task_status")).lower()
    return _error(inner) if status in _FAILED_STATUSES else None


def _entries_error(entries: Sequence[Any]) -> VendorError | None:
    """Return the first entry's error where every entry is one: then there is no picture at all."""
    found = [_entry_error(entry) if isinstance(entry, dict) else None for entry in entries]
    return found[0] if found and all(found) else None


def _entry_error(entry: Mapping[str, Any]) -> VendorError | None:
    for name in _WITHHELD:
        if entry.get(name) is False and not (entry.get("url") or entry.get("b64_json")):
            said = "The picture was made and withheld."
            return VendorError(code=name, message=said, billing=Billing.CHARGED)
    return _named(entry)


def _is_envelope(value: Mapping[str, Any]) -> bool:
    """Whether the value itself is an error: it says that it failed, or has a code that is no success."""
    if value.get("success") is False or _failed(value):
        return True
    says = any(value.get(name) for name in _MESSAGES)
    code = _code(value)
    return says and (code.lower() not in _SUCCESS_CODES or _text(value.get("type")).endswith("error"))


def _error(fields: Mapping[str, Any]) -> VendorError:
    inner = fields.get("innererror") or fields.get("inner_error")
    return VendorError(
        message=_message(fields),
        code=_code(fields),
        kind=_text(fields.get("type")) or _text(fields.get("error_type")),
        param=_text(fields.get("param")),
        inner=_code(inner) if isinstance(inner, dict) else "",
        billing=_stage_billing(fields.get("moderation_details")),
    )


def _message(fields: Mapping[str, Any]) -> str:
    for name in _MESSAGES:
        match fields.get(name):
            case [dict() as problem, *_]:  # FastAPI's, of which ``input`` is the caller's
                return _text(problem.get("msg"))
            case dict() as inner:
                return _message(inner)
            case str() as text if text.strip():
                return text.strip()
    return ""


def _code(fields: Mapping[str, Any]) -> str:
    return next(filter(None, (_text(fields.get(name)) for name in _CODES)), "")


def _stage_billing(details: Any) -> Billing:
    """Read OpenAI's ``moderation_details``: what was refused at the output had been made."""
    stage = details.get("moderation_stage") if isinstance(details, dict) else None
    return Billing.MAY_HAVE_BEEN_CHARGED if stage in ("output", "unknown") else Billing.NOT_CHARGED


def _spent(value: Mapping[str, Any], otherwise: Billing = Billing.NOT_CHARGED) -> Billing:
    """Return what an error's ``usage`` tells: a price was charged, tokens or pictures may have been."""
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return otherwise
    if any(_is_positive(usage.get(name)) for name in ("cost_in_usd_ticks", "cost")):
        return Billing.CHARGED
    if any(_is_positive(usage.get(name)) for name in ("total_tokens", "generated_images", "image_count")):
        return Billing.MAY_HAVE_BEEN_CHARGED
    return otherwise


def _is_positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _text(value: Any) -> str:
    """A word as text: relays give some as numbers, some as null."""
    match value:
        case str():
            return value.strip()
        case bool():
            return ""
        case int():
            return str(value)
    return ""
