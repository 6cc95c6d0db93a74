"""Answers that are kept go with their task."""

import logging

from imageedit_server.answers.files import Answers
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.answers import answered_attempt
from imageedit_server.store.attempts import AttemptKey
from imageedit_server.store.database import Database
from imageedit_server.upkeep.periodic import keep_doing

_log = logging.getLogger(__name__)


class KeptAnswers:
    """Removes the kept answers of tasks that were forgotten."""

    def __init__(self, database: Database, answers: Answers, clock: Clock) -> None:
        self._database = database
        self._answers = answers
        self._clock = clock

    async def serve(self) -> None:
        """Sweep at once and every hour, until cancelled."""
        await keep_doing(self.sweep, self._clock, "the sweep of kept answers")

    async def sweep(self) -> int:
        """Remove what no task needs; return how many there were."""
        removed = 0
        for stored in await self._answers.stored():
            key = AttemptKey(stored.asked.task_id, stored.asked.attempt)
            known = await self._database.look_up(answered_attempt, key, stored.asked.token_sha256)
            if stored.tried and known is None:
                self._answers.drop(stored.path)
                removed += 1
        if removed:
            _log.info("kept answers removed with their tasks: %d", removed)
        return removed
