"""One claimed task, carried as far as it goes: prepare, submit, wait, download (DESIGN §4).

The paid call stands between two commits. Around it, everything is free to repeat; through it, nothing is.
"""

import asyncio
import hashlib
import logging
import secrets
from datetime import datetime, timedelta
from functools import partial

from imageedit_server.core import transitions
from imageedit_server.core.errors import FailureReason, refuse_fields
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.limits import check_limits
from imageedit_server.core.request import OnUnknown, Request
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import Attempt, Stage
from imageedit_server.engine.gates import Gate
from imageedit_server.engine.inputs import has_urls
from imageedit_server.engine.polling import Polling
from imageedit_server.engine.recorder import Recorder, Tools
from imageedit_server.engine.results import BadResult, ResultGone
from imageedit_server.engine.resume import Step, next_step
from imageedit_server.providers.base import (
    Accepted,
    Ambiguous,
    Finished,
    Job,
    NotProcessed,
    Output,
    Prepared,
    PrepareError,
    Refused,
    SubmitError,
    SubmitSafety,
)
from imageedit_server.providers.catalog import Offer
from imageedit_server.providers.outcomes import ambiguous
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store.attempts import VendorTaskTaken
from imageedit_server.store.claims import Claimed
from imageedit_server.store.log import LeaseLost
from imageedit_server.telemetry.logs import note
from imageedit_server.telemetry.metrics import provider_call

_log = logging.getLogger(__name__)


class Run:
    """Works on one task under its lease. ``paying`` is true while a paid call must not be cut short."""

    def __init__(self, claimed: Claimed, offer: Offer, gate: Gate, tools: Tools) -> None:
        self._recorder = Recorder(claimed, tools, offer.provider.adapter.charge)
        self._tools = tools
        self._offer = offer
        self._gate = gate
        self._adapter = offer.provider.adapter
        self._options = offer.provider.options
        self._deadline = asyncio.timeout(self._recorder.remaining())
        self._polling = Polling(self._recorder, offer.provider, tools.clock)
        self._leaving = False
        self.paying = False

    async def carry_on(self) -> None:
        """Go on from wherever the task stands. Ends when the task is finished, given back or lost."""
        task = self._recorder.task
        note(tenant=task.tenant, task_id=task.task_id, provider=self._offer.provider.name)
        try:
            try:
                async with self._deadline:
                    await self._next_step()
            except TimeoutError:
                if not self._deadline.expired():  # of something within, which says nothing about the task
                    raise
                await self._recorder.expire()
        except LeaseLost:
            _log.info("the task has another owner or is finished")

    def called_back(self) -> None:
        """The vendor called back: poll now instead of later."""
        self._polling.called_back()

    def leave(self) -> None:
        """The server stops: go on only until the outcome of a paid call is recorded."""
        self._leaving = True

    async def _next_step(self) -> None:
        urls = await self._recorder.result_urls()
        match next_step(self._recorder.task, self._adapter.submit_safety, has_result_urls=bool(urls)):
            case Step.SUBMIT:
                await self._attempt(again=False)
            case Step.SUBMIT_AGAIN:
                await self._attempt(again=True)
            case Step.POLL:
                self.called_back()  # by a callback or a restart: either way, ask now
                await self._wait()
            case Step.DECIDE_UNKNOWN:
                await self._unknown()
            case Step.FETCH:
                await self._download(Finished(outputs=tuple(Output(url=url) for url in urls)))
            case Step.GIVE_UP:
                lost = "The provider's answer was lost before it was stored."
                await self._recorder.fail_because(FailureReason.RESULT_EXPIRED, lost)

    # Submitting

    async def _attempt(self, *, again: bool) -> None:
        self._limit_to_deadline()
        number = len(self._recorder.task.status.attempts) + (0 if again else 1)
        note(attempt=number)
        token = "" if again else secrets.token_urlsafe(32)  # the first call's, of which only the hash is kept
        try:
            prepared = await self._prepare(number, token)
        except PrepareError as error:
            await self._recorder.fail(error.failure)
        except NotProcessed as error:
            await self._recorder.give_back(error)
        else:
            await self._intend(number, token, prepared, again=again)
            await self._submit(prepared)

    async def _intend(self, number: int, token: str, prepared: Prepared, *, again: bool) -> None:
        failpoint("submit_before_intent")
        if again:
            await self._recorder.interrupted()
            await self._recorder.enter(Stage.SUBMITTING, warnings=prepared.warnings)
            return
        attempt = Attempt(
            number=number,
            provider=self._offer.provider.name,
            billing=self._adapter.charge.intended,
            submit_time=self._recorder.now(),
        )
        await self._recorder.begin(attempt, hashlib.sha256(token.encode()).hexdigest(), prepared.warnings)
        failpoint("submit_after_intent")

    async def _submit(self, prepared: Prepared) -> None:
        self.paying = not self._adapter.charge.is_free
        try:
            answer = await self._pay(prepared)
            self._limit_to_deadline()
            if isinstance(answer, Finished):  # what came with the answer exists nowhere else yet
                await self._download(answer)
        finally:
            self.paying = False
        if isinstance(answer, Accepted) and not self._leaving:
            await self._wait()

    async def _pay(self, prepared: Prepared) -> Accepted | Finished | None:
        """Make the paid call and record its outcome; None when there is nothing to wait for.

        The call's own limit counts here, not the deadline, so that the outcome is always recorded.
        """
        self._deadline.reschedule(None)
        try:
            answer = await self._watched_call(prepared)
            failpoint("submit_after_reply")
            await self._take(answer)
        except NotProcessed as error:
            await self._recorder.not_processed(error)
            await self._recorder.give_back(error)
        except Refused as error:
            await self._recorder.not_processed(error)
            await self._recorder.fail(error.failure)
        except Ambiguous as error:
            await self._recorder.unknown(error.failure)
            await self._unknown()
        except VendorTaskTaken:
            _log.critical("%s gave one id to two attempts", self._offer.provider.name)
            await self._unusable(FailureReason.PROVIDER_BAD_RESULT, "The provider's answer names other work.")
        else:
            return answer
        return None

    async def _watched_call(self, prepared: Prepared) -> Accepted | Finished:
        """Make the paid call, and let the provider's gate learn how it ended."""
        try:
            with provider_call(self._offer.provider.name, "submit") as call:
                answer = call.ended(await self._call(prepared))
        except SubmitError as error:
            self._gate.record(error)
            raise
        self._gate.record(None)
        return answer

    async def _call(self, prepared: Prepared) -> Accepted | Finished:
        """Make the paid call under its wall limit. Whatever is not clearly something else is ambiguous."""
        try:
            async with asyncio.timeout(min(self._options.submit_seconds, self._recorder.remaining())):
                return await self._adapter.submit(prepared, self._recorder.report)
        except SubmitError:
            raise
        except TimeoutError:
            raise ambiguous("The provider did not answer in time.") from None
        except Exception:  # noqa: BLE001  logged, and no error may pass for an answer
            _log.exception("the attempt ended unexpectedly")
            raise ambiguous("The call to the provider broke off.") from None

    async def _take(self, answer: Accepted | Finished) -> None:
        """Record what the vendor said, the fact and the decision in one commit.

        A result that comes after the task had ended is kept with its attempt.
        """
        if isinstance(answer, Accepted):
            await self._recorder.accepted(answer.vendor_task_id, answer.vendor_request_id)
            failpoint("submit_after_accepted")
            return
        try:
            await self._succeeded(answer)
        except LeaseLost:
            await self._keep_late(answer)
            raise

    async def _unknown(self) -> None:
        """Nobody knows whether the vendor was paid: wait for a callback where one can come, then end it."""
        if self._adapter.submit_safety is SubmitSafety.NATIVE_KEY:
            await self._park(self._recorder.retry_time())
        elif self._recorder.task.status.stage is not Stage.SUBMIT_UNKNOWN:
            await self._recorder.unknown()
            await self._park(self._window_end())
            if self._recorder.attempt.vendor_task_id:  # a callback overtook the answer: nothing is unknown
                await self._unpark()
        elif self._recorder.task.request.on_unknown is OnUnknown.RESUBMIT and self._is_first_doubt():
            await self._attempt(again=False)
        else:
            await self._recorder.fail(transitions.SUBMIT_OUTCOME_UNKNOWN)

    def _is_first_doubt(self) -> bool:
        """Whether sending again pays twice at most, which is what the caller agreed to."""
        outcomes = [attempt.outcome for attempt in self._recorder.task.status.attempts]
        return sum(outcome in transitions.UNKNOWN_OUTCOMES for outcome in outcomes) == 1

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
        correlated = self._adapter.submit_safety is SubmitSafety.CALLBACK_CORRELATED
        window = self._tools.unknown_window if correlated and self._tools.public_url else timedelta(0)
        return self._recorder.now() + window

    # Waiting

    async def _wait(self) -> None:
        """Poll until the vendor is done, then bring the result home."""
        if self._recorder.task.status.stage is not Stage.WAITING:
            await self._recorder.enter(Stage.WAITING)
        answer = await self._polling.until_done()
        if isinstance(answer, Failure):
            await self._vendor_failed(answer)
            return
        failpoint("poll_after_success")
        await self._succeeded(answer)
        await self._download(answer)

    async def _vendor_failed(self, failure: Failure) -> None:
        if failure.reason is FailureReason.PROVIDER_BAD_RESULT:  # success without a picture is billed too
            await self._recorder.succeeded_in_vain()
        await self._recorder.failed(failure)
        await self._recorder.fail(failure)

    # Downloading

    async def _succeeded(self, finished: Finished) -> None:
        polled = bool(
            self._recorder.attempt.vendor_task_id
        )  # who can be asked again needs no signed URL kept
        urls = () if polled else tuple(output.url for output in finished.outputs if output.url)
        await self._recorder.succeeded(finished.vendor_request_id, urls, finished.warnings)

    async def _download(self, finished: Finished, *, fresh: bool = False) -> None:
        """Bring every result home, verified and durable, then say SUCCEEDED.

        Where the result is gone, the vendor is asked once for a ``fresh`` address (F51).
        """
        try:
            with provider_call(self._offer.provider.name, "download") as call:
                images = call.ended(await self._tools.results.bring_home(finished.outputs), "done")
        except BadResult as error:
            await self._unusable(FailureReason.PROVIDER_BAD_RESULT, str(error))
        except ResultGone:
            again = None if fresh else await self._ask_again()
            if again is None:
                gone = "The provider's result was gone before it could be fetched."
                await self._unusable(FailureReason.RESULT_EXPIRED, gone)
            else:
                await self._download(again, fresh=True)
        else:
            failpoint("download_before_commit")
            await self._succeed_or_keep(images)
            failpoint("download_after_commit")

    async def _succeed_or_keep(self, images: tuple[Image, ...]) -> None:
        """End the task with its results; where it has ended meanwhile, keep them with the attempt."""
        try:
            await self._recorder.succeed(images)
        except LeaseLost:
            await self._recorder.late(images)
            raise

    async def _ask_again(self) -> Finished | None:
        """Ask an asynchronous vendor for its result once more; others have nothing more to say."""
        answer = await self._polling.once() if self._recorder.attempt.vendor_task_id else None
        return answer if isinstance(answer, Finished) else None

    async def _unusable(self, reason: FailureReason, message: str) -> None:
        failure = Failure(reason=reason, message=message)
        await self._recorder.failed(failure)
        await self._recorder.fail(failure)

    async def _keep_late(self, finished: Finished) -> None:
        try:
            async with asyncio.timeout(self._recorder.remaining()):
                images = await self._tools.results.bring_home(finished.outputs)
        except (BadResult, ResultGone, TimeoutError) as error:
            _log.info("the late result is unusable: %s", error)
        else:
            await self._recorder.late(images)

    # Inputs

    async def _prepare(self, number: int, token: str) -> Prepared:
        """Do everything that is free and repeatable, in the order in which it can fail."""
        request = await self._inputs()
        with provider_call(self._offer.provider.name, "prepare") as call:
            prepared = call.ended(await self._adapter.prepare(self._job(request, number, token)))
        await self._gate.pace.wait()
        return prepared

    async def _inputs(self) -> Request:
        """Fetch what the caller gave as URLs; only now can those pictures be held against the limits."""
        request, model = self._recorder.task.request, self._offer.model
        if not has_urls(request):
            return request
        fetched = await self._tools.inputs.fetched(request)
        violations = [*check_limits(fetched, model), *self._adapter.check(fetched, model)]
        if violations:
            raise PrepareError(FailureReason.INVALID_FIELD, refuse_fields(violations).message)
        await self._recorder.decide(lambda status, _: with_size(status, fetched, model))
        return fetched

    def _job(self, request: Request, number: int, token: str) -> Job:
        task, file = self._recorder.task, self._tools.inputs.file
        return Job(
            request=request,
            model=self._offer.model,
            size=task.status.size,
            images=tuple(map(file, request.images)),
            mask=file(request.mask) if request.mask else None,
            reference_images=tuple(map(file, request.reference_images)),
            attempt_key=f"{task.task_id}-{number}",
            callback_url=self._callback_url(token),
            deadline=task.deadline,
        )

    def _callback_url(self, token: str) -> str:
        public_url = self._tools.public_url
        return f"{public_url}/callbacks/{self._offer.provider.name}/{token}" if public_url and token else ""

    def _limit_to_deadline(self) -> None:
        self._deadline.reschedule(asyncio.get_running_loop().time() + self._recorder.remaining())
