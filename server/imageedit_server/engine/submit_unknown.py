"""A paid call of unknown outcome: wait for what can still tell it, then end it or send it once more."""

from datetime import datetime, timedelta
from functools import partial

from imageedit_server.core import transitions
from imageedit_server.core.task import Stage
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.retries import may_resubmit
from imageedit_server.engine.tools import Tools
from imageedit_server.providers.base import Adapter, SubmitSafety


class SubmitUnknown:
    """Decides about one task that was, or may have been, paid for without an answer."""

    def __init__(self, recorder: Recorder, adapter: Adapter, tools: Tools) -> None:
        self._recorder = recorder
        self._safety = adapter.submit_safety
        self._polls = adapter.polls
        self._tools = tools

    async def settle(self) -> bool:
        """Wait for a callback where one can come, then end the task; True when it is to be sent once more."""
        if self._safety is SubmitSafety.NATIVE_KEY:
            await self._park(self._recorder.retry_time())
        elif self._recorder.task.status.stage is not Stage.SUBMIT_UNKNOWN:
            await self._recorder.unknown()
            await self._park(self._window_end())
            if self._polls and self._recorder.attempt.vendor_task_id:  # from a callback, or a doubtful answer
                await self._unpark()
        elif may_resubmit(self._recorder.task):
            return True
        else:
            await self._recorder.fail(
                transitions.SUBMIT_OUTCOME_UNKNOWN.quoting(self._recorder.attempt.error)
            )
        return False

    async def _park(self, not_before: datetime) -> None:
        """Let go of the task until ``not_before``: a task of unknown outcome holds no place."""
        await self._recorder.decide(
            partial(transitions.enter, stage=Stage.SUBMIT_UNKNOWN),
            not_before=min(not_before, self._recorder.task.deadline),
        )

    async def _unpark(self) -> None:
        """Let the task be claimed at once, to be polled."""
        await self._recorder.decide(
            partial(transitions.enter, stage=Stage.WAITING), not_before=self._recorder.now()
        )

    def _window_end(self) -> datetime:
        """Until when a callback may still tell the forgotten vendor id; now where none can arrive."""
        correlated = self._safety is SubmitSafety.CALLBACK_CORRELATED
        window = self._tools.unknown_window if correlated and self._tools.public_url else timedelta(0)
        return self._recorder.now() + window
