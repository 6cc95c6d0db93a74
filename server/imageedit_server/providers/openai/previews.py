"""Partial pictures, shown while the answer still comes, in a task beside the paid call."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

from imageedit_server.outbound.answers import Onlooker
from imageedit_server.providers.base import Output, Report
from imageedit_server.providers.openai.asks import Ask
from imageedit_server.providers.openai.events import Event, EventReader, lines_of, read_event
from imageedit_server.providers.openai.finding import entries_of, read_picture

_log = logging.getLogger(__name__)


def onlooker_of(ask: Ask, report: Report) -> Onlooker | None:
    """Return who shows the partial pictures of a call, None for one that has none."""
    if not ask.previews:
        return None

    async def look(status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]) -> bool:
        return 200 <= status < 300 and await _Previews(ask, report).follow(pieces)

    return look


class _Previews:
    def __init__(self, ask: Ask, report: Report) -> None:
        self._ask = ask
        self._report = report
        self._shown = 0
        self._made: set[int] = set()

    async def follow(self, pieces: AsyncIterator[bytes]) -> bool:
        """Show what can be shown; return whether all that is paid for has come before the end."""
        reader = EventReader()
        async for line in lines_of(pieces):
            if found := reader.take(line):
                for event in await asyncio.to_thread(read_event, *found):
                    await self._take(event)
            if reader.done or len(self._made) >= self._ask.n:
                return True
        return False

    async def _take(self, event: Event) -> None:
        if event.is_final and not event.is_partial:
            self._made.update(map(hash, await asyncio.to_thread(_outputs, event)))
        elif event.is_partial and self._shown < self._ask.previews:
            self._shown += 1
            for output in await asyncio.to_thread(_outputs, event):
                await self._show(output.content)

    async def _show(self, content: bytes) -> None:
        """Pass a partial picture on. That one cannot be shown is no reason not to show the next."""
        try:
            if content:
                await self._report(preview=content)
        except Exception:  # noqa: BLE001  whatever it is
            _log.warning("a partial picture could not be shown", exc_info=True)


def _outputs(event: Event) -> list[Output]:
    return [output for entry in entries_of(event.value) if (output := read_picture(entry))]
