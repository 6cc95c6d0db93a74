"""The times of one claimed task, told by a clock that nobody steps."""

import asyncio
from datetime import datetime, timedelta

from imageedit_server.core.task import Task


class TaskClock:
    """What is left of a task's time, in the loop's time, which is monotonic.

    The wall clock is asked once, at the claim: whatever NTP or an operator does to it after that neither ends
    the task early nor keeps it (F33). ``deadline`` is in the past for a task that is claimed after it;
    ``end_of_grace`` is until when a result that the vendor has reported may still be brought home.
    """

    def __init__(self, task: Task, now: datetime, grace: timedelta) -> None:
        self._loop = asyncio.get_running_loop()
        self.deadline = self._loop.time() + (task.deadline - now).total_seconds()
        self.end_of_grace = self.deadline + grace.total_seconds()
        self._submit_time = self._loop.time()
        if task.status.attempts:
            age = now - task.status.attempts[-1].submit_time
            self._submit_time -= max(age.total_seconds(), 0.0)

    def remaining(self) -> float:
        """Return the seconds until the deadline, 0 after it."""
        return max(self.deadline - self._loop.time(), 0.0)

    def submitted(self) -> None:
        """A new attempt is submitted now."""
        self._submit_time = self._loop.time()

    def waited(self) -> timedelta:
        """Return how long ago the latest attempt was submitted."""
        return timedelta(seconds=self._loop.time() - self._submit_time)
