"""The ids in an answer, under whatever name and wherever in it: what may be paid for must be found again."""

from collections.abc import Iterator, Mapping
from typing import Any

from imageedit_server.providers.base import VendorIds

MAX_ID_CHARS = 256
TASK_NAMES = ("task_id", "taskId", "recordId", "job_id", "jobId", "generation_id", "prediction_id")
ANY_NAMES = (*TASK_NAMES, "id")
REQUEST_NAMES = ("request_id", "requestId")
_PLACES = ("data", "output", "result", "response", "task", "error", "detail")


def ids_in(value: Any, *, task_names: tuple[str, ...] = ANY_NAMES) -> VendorIds:
    """Return what ``value``, an answer's JSON, calls the work and the call.

    ``task_names`` is narrower where an id is asked for again: not every ``id`` names a task.
    """
    places = tuple(_places(value))
    return VendorIds(task_id=_first(places, task_names), request_id=_first(places, REQUEST_NAMES))


def vendor_id(value: Any) -> str:
    """Return an id as opaque text of at most 256 printable characters; empty for what cannot be one (F46)."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_ID_CHARS:
        return ""
    return text if text.isascii() and text.isprintable() and text.strip() == text else ""


def _places(value: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that may hold an id: the answer, what its known members hold, the first entry of a list."""
    outer = value[0] if isinstance(value, list) and value else value
    if not isinstance(outer, dict):
        return
    yield outer
    for name in _PLACES:
        inner = outer.get(name)
        first = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(first, dict):
            yield first


def _first(places: tuple[Mapping[str, Any], ...], names: tuple[str, ...]) -> str:
    candidates = (vendor_id(place.get(name)) for name in names for place in places)
    return next(filter(None, candidates), "")
