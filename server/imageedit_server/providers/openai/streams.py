"""What a body of server-sent events holds, read in one pass: of millions of events, what counts is kept."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from imageedit_server.providers.base import Output
from imageedit_server.providers.openai.events import Event, events_in
from imageedit_server.providers.openai.finding import entries_of, read_picture
from imageedit_server.providers.openai.rules import MAX_N

MAX_LINES = 1_000_000
"""What comes after them is not read: a stream has a few for each picture, and some to keep itself alive."""


@dataclass(slots=True)
class Stream:
    """The events of one body, as far as they matter.

    ``final`` are the pictures of events that say that they are the last, ``others`` those of all others but
    the partial. ``failed`` is the first event that is an error, ``last`` the last one that meant a picture.
    """

    final: dict[Output, None] = field(default_factory=dict)
    others: dict[Output, None] = field(default_factory=dict)
    events: int = 0
    unreadable: int = 0
    has_partial: bool = False
    is_meant: bool = False
    failed: Any = None
    last: Any = None

    @property
    def outputs(self) -> list[Output]:
        """The pictures that are the result; drafts do not always say that they are partial."""
        return list(self.final or self.others)[:MAX_N]

    def take(self, event: Event) -> None:
        """Take what matters of the next event."""
        self.events += 1
        self.unreadable += event.value is None
        self.has_partial = self.has_partial or event.is_partial
        if event.is_error and self.failed is None:
            self.failed = event.value
        if not event.is_partial and (entries := entries_of(event.value)):
            self.is_meant, self.last = True, event.value
            self._keep(entries, self.final if event.is_final else self.others)

    def _keep(self, entries: list[Any], pictures: dict[Output, None]) -> None:
        for entry in entries:
            if len(pictures) < MAX_N and (output := read_picture(entry)):
                pictures[output] = None


def stream_of(content: bytes) -> Stream:
    """Read a body as events; one line alone is one only if it says so, and a web page is none."""
    stream = Stream()
    is_one = b"\n" in content or b"\r" in content or content.startswith(b"data:")
    if is_one and not content.startswith(b"<"):
        for event in events_in(islice(_lines(content), MAX_LINES)):
            stream.take(event)
    return stream


def _lines(content: bytes) -> Iterator[str]:
    with io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", errors="replace") as text:
        yield from (line.removesuffix("\n") for line in text)
