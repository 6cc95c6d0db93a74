"""Polling: asks a vendor how accepted work stands, on its schedule or when it calls back."""

import asyncio
import logging
from datetime import timedelta

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.schedule import poll_delay
from imageedit_server.providers.base import Finished, Running, VendorTaskUnknown
from imageedit_server.providers.catalog import Provider
from imageedit_server.runtime.clock import Clock
from imageedit_server.telemetry.metrics import provider_call

POLL_LIMIT_SECONDS = 10.0
UNKNOWN_GRACE = timedelta(seconds=60)
"""How long after its submission a vendor may not know its own work: it may be slow to agree with itself."""
MAX_UNKNOWN = 3
"""How often in a row it may say so after that."""

LOST = Failure(
    reason=FailureReason.PROVIDER_LOST_TASK,
    message="The provider does not know the work that it accepted.",
)

_log = logging.getLogger(__name__)


class Polling:
    """Follows the latest attempt of a task at its vendor."""

    def __init__(self, recorder: Recorder, provider: Provider, clock: Clock) -> None:
        self._recorder = recorder
        self._provider = provider
        self._clock = clock
        self._called_back = asyncio.Event()
        self._unknown = 0

    def called_back(self) -> None:
        """The vendor called back: poll now instead of later."""
        self._called_back.set()

    async def until_done(self) -> Finished | Failure:
        """Poll until the vendor is done. A poll that fails is asked again (F42)."""
        attempt = self._recorder.attempt
        while True:
            waited = self._recorder.now() - attempt.submit_time
            await self._pause(poll_delay(self._provider.options.poll_seconds, waited))
            answer = await self.once()
            if not isinstance(answer, Running):
                return answer
            await self._recorder.progress(answer.progress_percent)

    async def once(self) -> Running | Finished | Failure:
        """Ask once; what says nothing counts as still running."""
        attempt = self._recorder.attempt
        try:
            with provider_call(self._provider.name, "poll") as call:
                async with asyncio.timeout(POLL_LIMIT_SECONDS):
                    poll = self._provider.adapter.poll(attempt.vendor_task_id, self._recorder.report)
                    answer = call.ended(await poll)
        except VendorTaskUnknown:
            self._unknown += 1
            old = self._recorder.now() - attempt.submit_time > UNKNOWN_GRACE
            return LOST if old and self._unknown >= MAX_UNKNOWN else Running()
        except Exception as error:  # noqa: BLE001  the seam says: any exception means ask again
            _log.warning("a poll failed: %s", type(error).__name__)
            return Running()
        self._unknown = 0
        return answer

    async def _pause(self, seconds: float) -> None:
        """Wait until the next poll is due or the vendor calls back."""
        sleep = asyncio.ensure_future(self._clock.sleep(seconds))
        hint = asyncio.ensure_future(self._called_back.wait())
        try:
            await asyncio.wait([sleep, hint], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            hint.cancel()
        self._called_back.clear()
