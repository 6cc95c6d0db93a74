"""Answers that the disk does not give back: paid for, most likely, and tried again until it does (P31).

Nothing is claimed before their folder was read, since a claim may end or pay for what an answer speaks of.
One file does not hold up all others: it is tried again beside them, and what it holds then is a late image,
or the result of a task that still waits.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from imageedit_server.answers.reading import Stored
from imageedit_server.engine.rereading import read_again
from imageedit_server.engine.tools import Tools
from imageedit_server.providers.catalog import Catalog
from imageedit_server.telemetry.metrics import ANSWERS_LEFT_OUT

FOLDER_RETRY_SECONDS = 5.0
FILE_RETRY_SECONDS = 30.0

_log = logging.getLogger(__name__)


class LeftOut:
    """Tries them again, and says that there are some."""

    def __init__(self, tools: Tools, catalog: Catalog) -> None:
        self._tools = tools
        self._catalog = catalog
        self._trouble = ""
        ANSWERS_LEFT_OUT.set_function(lambda: float(len(tools.answered.left_out)))

    def trouble(self) -> str:
        """Say why nothing is claimed yet, when that is so."""
        return self._trouble

    def alarm(self) -> str:
        """Name the first answer that cannot be read, when there is one."""
        left_out = self._tools.answered.left_out
        return f"vendors' answers cannot be read from the disk: {left_out[0]}" if left_out else ""

    async def wait_for(self, match: Callable[[], Awaitable[list[Stored]]]) -> list[Stored]:
        """Return what ``match`` does, as soon as the folder can be read."""
        while True:
            try:
                kept = await match()
            except OSError as error:
                self._trouble = f"vendors' answers cannot be read: {error.filename}: {error.strerror}"
            else:
                self._trouble = ""
                return kept
            await self._tools.clock.sleep(FOLDER_RETRY_SECONDS)

    async def read_on(self) -> None:
        """Try again what was left out, until cancelled."""
        while True:
            await self._tools.clock.sleep(FILE_RETRY_SECONDS)
            for path in [*self._tools.answered.left_out]:
                await self._try_again(path)

    async def _try_again(self, path: Path) -> None:
        with suppress(OSError):  # still not
            if stored := await self._tools.answered.look_again(path):
                recovered = await read_again(stored, self._tools, self._catalog)
                _log.info("an answer that was left out was read, recovered: %s", recovered)
