"""Server-sent events of an edit (VENDORS §3.3): partial pictures, then the one that was paid for.

What an event is called says little, since every gateway has names of its own: an event counts by what it
holds. Pure, over lines: of a whole body, or of one that still comes.
"""

import codecs
import io
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from imageedit_server.outbound.client import BadBody, read_json

_PARTIAL = "partial"
_FINAL = ("completed", "done", "succeeded", "finished")
_ERROR = "error"
_DONE = "[DONE]"
_JSON_BEGINS = ("{", "[")


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its type, from the data or else its own name, and its JSON; None when it is none."""

    kind: str
    value: Any

    @property
    def is_partial(self) -> bool:
        """Whether its picture is only on the way to the one that is paid for."""
        marked = isinstance(self.value, dict) and "partial_image_index" in self.value
        return _PARTIAL in self.kind or marked

    @property
    def is_final(self) -> bool:
        """Whether it says so itself: of pictures on the way not all gateways say that they are partial."""
        return self.kind.endswith(_FINAL)

    @property
    def is_error(self) -> bool:
        """Whether it says that something failed."""
        has_error = isinstance(self.value, dict) and bool(self.value.get(_ERROR))
        return has_error or self.kind == _ERROR or self.kind.endswith((".failed", ".error"))


@dataclass(slots=True)
class EventReader:
    """Puts lines together to the data of events. Comments and empty events are passed over."""

    name: str = ""
    data: list[str] = field(default_factory=list)
    done: bool = False
    """Whether ``[DONE]`` was said."""

    def take(self, line: str) -> tuple[str, list[str]] | None:
        """Take a line without its end; return the name and data of the event that it ends, if it does."""
        name, _, value = line.partition(":")
        if name == "event":
            self.name = value.strip()
        elif name == "data":
            self.data.append(value.removeprefix(" "))
        elif line.startswith(_JSON_BEGINS):  # of gateways that leave the field's name out
            self.data.append(line)
        elif not line:
            return self.end()
        return None

    def end(self) -> tuple[str, list[str]] | None:
        """End the event that is open, also at the end of the stream."""
        name, data = self.name, [text for text in self.data if text.strip()]
        self.name, self.data = "", []
        self.done = self.done or _DONE in data
        return (name, [text for text in data if text != _DONE]) if data and data != [_DONE] else None


def read_event(name: str, data: list[str]) -> list[Event]:
    """Read an event's data as one JSON value, or else each of its lines as one of its own."""
    whole = _event(name, "\n".join(data))
    return [whole] if whole.value is not None or len(data) == 1 else [_event(name, text) for text in data]


def events_in(lines: Iterable[str]) -> Iterator[Event]:
    """Yield the events of a whole body; one that was not ended counts too."""
    reader = EventReader()
    for line in lines:
        if found := reader.take(line):
            yield from read_event(*found)
    if found := reader.end():
        yield from read_event(*found)


async def lines_of(pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    r"""Yield the lines of a body as it comes, without their ends (``\n``, ``\r\n`` or ``\r``)."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    pending: list[str] = []
    async for piece in pieces:
        first, *rest = decoder.decode(piece).split("\n")
        pending.append(first)
        for line in rest:
            yield "".join(pending)
            pending = [line]
    if last := "".join([*pending, decoder.decode(b"", final=True)]):
        yield last.removesuffix("\n")


def _event(name: str, data: str) -> Event:
    try:
        value = read_json(data)
    except BadBody:
        return Event(name, None)
    kind = value.get("type") if isinstance(value, dict) else None
    if name == _ERROR:
        return Event(name, value)
    return Event(kind if isinstance(kind, str) and kind else name, value)
