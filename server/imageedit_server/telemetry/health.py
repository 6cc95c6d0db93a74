"""Whether the server wants traffic, and if not, why: in words for people, as a status for health checks."""

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path

from imageedit_server.runtime import descriptors
from imageedit_server.telemetry.metrics import DESCRIPTORS_LEFT, DISK_FREE_BYTES, READY

LOOK_SECONDS = 1.0
MIN_FREE_FILES = 100

Trouble = Callable[[], str]
"""Says why no traffic is wanted, empty when nothing speaks against it. Must be quick and never raise."""

_log = logging.getLogger(__name__)


class Readiness:
    """Asks every part that may be in ``troubles``. What is alarming but no trouble is only logged."""

    def __init__(self, troubles: Sequence[Trouble], alarms: Sequence[Trouble] = ()) -> None:
        self._troubles = troubles
        self._alarms = alarms
        READY.set_function(lambda: float(not self.reason()))

    def reason(self) -> str:
        """Return the first trouble there is, empty when the server is ready."""
        return next(filter(None, (trouble() for trouble in self._troubles)), "")

    async def follow(self, tell: Callable[[bool], Awaitable[None]]) -> None:
        """Call ``tell`` with whether the server is ready, now and whenever that changes, until cancelled."""
        ready: bool | None = None
        alarmed: set[Trouble] = set()
        while True:
            reason = self.reason()
            if ready is not (not reason):
                if reason:
                    _log.warning("not ready: %s", reason)
                elif ready is False:
                    _log.info("ready again")
                ready = not reason
                await tell(ready)
            alarmed = self._log_alarms(alarmed)
            await asyncio.sleep(LOOK_SECONDS)

    def _log_alarms(self, known: Collection[Trouble]) -> set[Trouble]:
        """Log the alarms that are new; return all that there are."""
        alarms = {alarm: text for alarm in self._alarms if (text := alarm())}
        for alarm, text in alarms.items():
            if alarm not in known:
                _log.warning("%s", text)
        return set(alarms)


class OpenFiles:
    """Watches how many more files and connections there may be, and sees to the spare ones."""

    def __init__(self) -> None:
        DESCRIPTORS_LEFT.set_function(lambda: float(descriptors.left()))

    def trouble(self) -> str:
        """Say that they are nearly used up, when they are."""
        descriptors.SPARES.keep()
        return descriptors.trouble()


class DiskSpace:
    """Watches the room left in ``folder``: less than ``min_free_bytes`` is trouble before it is a loss."""

    def __init__(self, folder: Path, min_free_bytes: int) -> None:
        self._folder = folder
        self._min_free_bytes = min_free_bytes
        DISK_FREE_BYTES.set_function(self._free_bytes)

    def trouble(self) -> str:
        """Say that the disk is nearly full, when it is."""
        try:
            free_bytes, free_files = self._free()
        except OSError as error:
            return f"the data dir cannot be looked at: {error.strerror}"
        if free_bytes < self._min_free_bytes:
            return f"the disk is nearly full: {free_bytes} bytes are free, {self._min_free_bytes} are to stay"
        if free_files < MIN_FREE_FILES:
            return f"the disk is nearly full: it takes {free_files} more files"
        return ""

    def _free_bytes(self) -> float:
        try:
            return self._free()[0]
        except OSError:
            return math.nan

    def _free(self) -> tuple[int, int]:
        """Return the bytes and the files that there is room for."""
        found = os.statvfs(self._folder)
        files = found.f_favail if found.f_files else MIN_FREE_FILES  # some file systems have no such bound
        return found.f_bavail * found.f_frsize, files
