"""Server-sent events of a streamed edit (VENDORS §3.3): partial pictures, then the one that was paid for."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json

PARTIAL = "image_edit.partial_image"
COMPLETED = "image_edit.completed"
ERROR = "error"
_DONE = "[DONE]"


class BadStream(Exception):
    """An event is not what it should be."""


async def read_events(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
    """Yield each event's type and data until ``[DONE]`` or the end. Raises ``BadStream``.

    The type stands in the data, or else in the event's own name. Comments and empty events are passed over.
    """
    name, data = "", list[str]()
    async for line in lines:
        field, _, value = line.partition(":")
        if field == "event":
            name = value.removeprefix(" ")
        elif field == "data":
            data.append(value.removeprefix(" "))
        elif not line:
            if data == [_DONE]:
                return
            if data:
                yield await asyncio.to_thread(_event, name, "\n".join(data))
            name, data = "", []
    if data and data != [_DONE]:
        yield await asyncio.to_thread(_event, name, "\n".join(data))


def _event(name: str, data: str) -> tuple[str, dict[str, Any]]:
    try:
        value = read_json(data)
    except BadBody as error:
        raise BadStream from error
    if not isinstance(value, dict):
        raise BadStream
    kind = value.get("type")
    if value.get("error") or ERROR in (name, kind):
        return ERROR, value
    return kind if isinstance(kind, str) and kind else name, value
