"""Accepted work, followed to its end: the vendor is asked on a schedule, or at once when it calls back."""

import asyncio
import logging
from datetime import timedelta

from imageedit_server.core import transitions
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Outcome, Stage
from imageedit_server.engine.recorder import Recorder
from imageedit_server.providers.base import Finished, InProgress, PollSeconds, VendorTaskUnknown
from imageedit_server.providers.catalog import Provider
from imageedit_server.runtime.clock import Clock, sleep_unless
from imageedit_server.telemetry.metrics import provider_call

POLL_LIMIT_SECONDS = 10.0
EARLY = timedelta(seconds=30)
MIDDLE = timedelta(minutes=2)
UNKNOWN_GRACE = timedelta(seconds=60)
"""How long after its submission a vendor may not know its own work: it may be slow to agree with itself."""
MAX_UNKNOWN = 3
"""How often in a row it may say so after that."""

LOST = Failure(
    reason=FailureReason.PROVIDER_LOST_TASK,
    message="The provider does not know the work that it accepted.",
)

_OUTCOMES = {InProgress: "running", Finished: "finished", Failure: "failed"}
"""How metrics call what a poll said."""

_log = logging.getLogger(__name__)


class Waiting:
    """Follows the latest attempt of a task at its vendor."""

    def __init__(self, recorder: Recorder, provider: Provider, clock: Clock) -> None:
        self._recorder = recorder
        self._provider = provider
        self._clock = clock
        self._called_back = asyncio.Event()
        self._unknown = 0

    @property
    def can_ask(self) -> bool:
        """Whether the vendor can be asked for the attempt's work, and for its result again."""
        return self._provider.adapter.polls and bool(self._recorder.attempt.vendor_task_id)

    def called_back(self) -> None:
        """The vendor called back: poll now instead of later."""
        self._called_back.set()

    async def until_done(self) -> Finished | None:
        """Poll until the vendor is done; None when it failed, which ends the task.

        A poll that fails is asked again (F42).
        """
        if self._recorder.task.status.stage is not Stage.WAITING:
            await self._recorder.enter(Stage.WAITING)
        answer = await self.followed()
        if isinstance(answer, Finished):
            return answer
        attempt = self._recorder.attempt
        if answer is LOST and attempt.outcome is Outcome.UNKNOWN:  # then it was never said to be accepted
            await self._recorder.fail(transitions.SUBMIT_OUTCOME_UNKNOWN.quoting(attempt.error))
            return None
        if answer.reason is FailureReason.PROVIDER_BAD_RESULT:  # success without a picture is billed too
            await self._recorder.succeeded_in_vain()
        await self._recorder.fail_attempt(answer)
        return None

    async def ask(self) -> InProgress | Finished | Failure:
        """Ask once; what says nothing counts as still in progress."""
        try:
            answer = await self._polled(self._recorder.attempt.vendor_task_id)
        except VendorTaskUnknown:
            self._unknown += 1
            old = self._recorder.clock.waited() > UNKNOWN_GRACE
            return LOST if old and self._unknown >= MAX_UNKNOWN else InProgress()
        except Exception as error:  # noqa: BLE001  the seam says: any exception means ask again
            _log.warning("a poll failed: %s", type(error).__name__)
            return InProgress()
        self._unknown = 0
        return answer

    async def followed(self) -> Finished | Failure:
        """Ask on a schedule until the vendor says how its work ended. A poll that fails is asked again."""
        while True:
            delay = poll_delay(self._provider.options.poll_seconds, self._recorder.clock.waited())
            await sleep_unless(self._called_back, self._clock, delay)
            answer = await self.ask()
            if not isinstance(answer, InProgress):
                return answer
            await self._recorder.progress(answer.progress_percent)

    async def _polled(self, vendor_task_id: str) -> InProgress | Finished | Failure:
        with provider_call(self._provider.name, "poll") as call:
            async with asyncio.timeout(POLL_LIMIT_SECONDS):
                answer = await self._provider.adapter.poll(vendor_task_id, self._recorder.report)
            return call.ended(answer, _OUTCOMES[type(answer)])


def poll_delay(poll_seconds: PollSeconds, waited: timedelta) -> float:
    """Return the seconds until the next poll of work that was submitted ``waited`` ago (VENDORS §2.2)."""
    early, middle, late = poll_seconds
    if waited < EARLY:
        return early
    return middle if waited < MIDDLE else late
