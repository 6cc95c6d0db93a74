"""The paid call, between two commits: where money is spent, and the moment that becomes durable (DESIGN §4).

    reserve  the call is described, and has a place for its answer     ``Adapter.paid_call``
    intend   the attempt and the intent to pay are durable             ``store.attempts.begin_attempt``
    pay      the call is made, once, under its own limit               ``Payer.pay``
             its answer is understood                                  ``Adapter.understand``
             its outcome is durable with what follows from it          ``store.attempts.learn``

A crash before the first commit sent nothing. Between the two nobody knows whether the vendor was paid: that
is ``submit_unknown``. Nothing is sent again from here; ``retries`` says what may be, and when.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Attempt, Stage
from imageedit_server.engine.downloading import Downloading
from imageedit_server.engine.gates import Gate
from imageedit_server.engine.paying import Paying
from imageedit_server.engine.recorder import Recorder
from imageedit_server.providers.base import (
    Accepted,
    Ambiguous,
    Finished,
    NotProcessed,
    Prepared,
    Refused,
    SubmitError,
)
from imageedit_server.providers.catalog import Provider
from imageedit_server.providers.outcomes import ambiguous
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store.attempts import VendorTaskTaken
from imageedit_server.store.log import LeaseLost
from imageedit_server.telemetry.metrics import provider_call

_FOREIGN = Failure(
    reason=FailureReason.PROVIDER_BAD_RESULT, message="The provider's answer names other work."
)

_log = logging.getLogger(__name__)


class Submitting:
    """Makes the paid calls of one task."""

    def __init__(
        self, recorder: Recorder, provider: Provider, gate: Gate, paying: Paying, downloading: Downloading
    ) -> None:
        self._recorder = recorder
        self._provider = provider
        self._gate = gate
        self._paying = paying
        self._downloading = downloading

    async def intend(self, number: int, token: str, prepared: Prepared, *, again: bool) -> None:
        """Make the intent to pay durable; ``again`` for a call of the same attempt as before."""
        failpoint("submit_before_intent")
        try:
            await self._intended(number, token, prepared, again=again)
        except BaseException:
            self._paying.let_go()
            raise

    async def _intended(self, number: int, token: str, prepared: Prepared, *, again: bool) -> None:
        if again:
            await self._recorder.interrupted()
            await self._recorder.enter(Stage.SUBMITTING, warnings=prepared.warnings)
            return
        attempt = Attempt(
            number=number,
            provider=self._provider.name,
            billing=self._provider.adapter.charge.intended,
            submit_time=self._recorder.now(),
        )
        await self._recorder.begin(attempt, hashlib.sha256(token.encode()).hexdigest(), prepared.warnings)
        failpoint("submit_after_intent")

    async def pay(self, prepared: Prepared) -> Accepted | Finished | Ambiguous | None:
        """Make the paid call and record its outcome; None when that ended the task, or gave it back."""
        return await self._recorded(self._watched_call(prepared))

    async def read(self) -> Accepted | Finished | Ambiguous | None:
        """Go on as ``pay`` does, with what an earlier run's call brought."""
        return await self._recorded(self._paying.read())

    async def _recorded(
        self, answering: Awaitable[Accepted | Finished]
    ) -> Accepted | Finished | Ambiguous | None:
        try:
            answer = await answering
            failpoint("submit_after_reply")
            await self._take(answer)
        except NotProcessed as error:
            await self._recorder.not_processed(error)
            await self._recorder.give_back(error)
        except Refused as error:
            await self._recorder.refused(error)
            await self._recorder.fail(error.failure)
        except Ambiguous as error:
            await self._recorder.unknown(error.failure, error.ids)
            return error
        except VendorTaskTaken:
            _log.critical("%s gave one id to two attempts", self._provider.name)
            await self._recorder.fail_attempt(_FOREIGN)
        else:
            return answer
        return None

    async def _watched_call(self, prepared: Prepared) -> Accepted | Finished:
        """Make the paid call, and let the provider's gate learn how it ended."""
        try:
            with provider_call(self._provider.name, "submit") as call:
                answer = call.ended(await self._made(prepared))
        except SubmitError as error:
            self._gate.record(self._recorder.task.tenant, error)
            raise
        self._gate.record(self._recorder.task.tenant, None)
        return answer

    async def _made(self, prepared: Prepared) -> Accepted | Finished:
        """Make the call under its wall limit. Whatever is not clearly something else is ambiguous."""
        try:
            return await (self._paying.call() if self._paying.is_described else self._worked(prepared))
        except SubmitError:
            raise
        except TimeoutError:
            raise ambiguous("The provider did not answer in time.") from None
        except Exception:  # noqa: BLE001  logged, and no error may pass for an answer
            _log.exception("the attempt ended unexpectedly")
            raise ambiguous("The call to the provider broke off.") from None

    async def _worked(self, prepared: Prepared) -> Accepted | Finished:
        adapter = self._provider.adapter
        limit_seconds = adapter.work_seconds + self._provider.options.submit_seconds
        async with asyncio.timeout(min(limit_seconds, self._recorder.clock.remaining())):
            return await adapter.submit(prepared, self._recorder.report)

    async def _take(self, answer: Accepted | Finished) -> None:
        """Record what the vendor said, the fact and the decision in one commit.

        A result that comes after the task had ended is kept with its attempt.
        """
        if isinstance(answer, Accepted):
            await self._recorder.accepted(answer)
            failpoint("submit_after_accepted")
            return
        try:
            await self._downloading.take(answer, self._paying.saved)
        except LeaseLost:
            self._downloading.keep_late(answer)
            raise
