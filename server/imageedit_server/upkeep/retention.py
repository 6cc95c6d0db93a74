"""Retention: how long finished tasks are kept, and images that no task needs."""

import logging
from collections.abc import Mapping
from datetime import timedelta

from imageedit_server.core.task import State
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.database import Database
from imageedit_server.store.retention import ImageAge, forget_images, forget_tasks
from imageedit_server.upkeep.periodic import keep_doing

TASKS_AT_ONCE = 5
IMAGES_AT_ONCE = 100
PAUSE_SECONDS = 0.05
"""Between two steps, each of some milliseconds, so that callers hardly notice."""

_log = logging.getLogger(__name__)


class Retention:
    """Forgets what is older than ``keep`` says for its state; what is missing there is kept for ever.

    An image that no task needs is kept as long as any task would be. Its bytes go with the next sweep.
    """

    def __init__(self, database: Database, clock: Clock, keep: Mapping[State, timedelta]) -> None:
        self._database = database
        self._clock = clock
        self._keep = keep

    async def serve(self) -> None:
        """Look at once and every hour, until cancelled."""
        await keep_doing(self.forget, self._clock, "forgetting finished tasks")

    async def forget(self) -> int:
        """Forget what is too old; return how many tasks that were."""
        forgotten = 0
        for state, keep in self._keep.items():
            forgotten += await self._forget_tasks(state, keep)
        if all(state in self._keep for state in State if state.terminal):
            await self._forget_images(max(self._keep.values()))
        if forgotten:
            _log.info("finished tasks forgotten: %d", forgotten)
        return forgotten

    async def _forget_tasks(self, state: State, keep: timedelta) -> int:
        ended_before, forgotten, step = self._clock.now() - keep, 0, TASKS_AT_ONCE
        while step == TASKS_AT_ONCE:
            step = await self._database.record(forget_tasks, state, ended_before, TASKS_AT_ONCE)
            forgotten += step
            await self._clock.sleep(PAUSE_SECONDS)
        return forgotten

    async def _forget_images(self, keep: timedelta) -> None:
        given_before = self._clock.now() - keep
        after: ImageAge | None = None
        while after := await self._database.record(forget_images, given_before, after, IMAGES_AT_ONCE):
            await self._clock.sleep(PAUSE_SECONDS)
