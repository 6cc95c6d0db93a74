"""One claimed task, carried as far as it goes. Each part of the way has a module of its own (DESIGN §4).

    preparing        free and repeatable
    submitting       the paid call, between two commits      submit_unknown where its outcome is not known
    waiting          polls, until the vendor is done
    downloading      results are brought home, then the task succeeds

Around the paid call everything is free to repeat; through it, nothing is.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial

from imageedit_server.core.task import Outcome
from imageedit_server.engine.downloading import Downloading
from imageedit_server.engine.gates import Gate
from imageedit_server.engine.late_results import LateResults
from imageedit_server.engine.paying import Paying
from imageedit_server.engine.preparing import Preparing
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.resume import ResumePoint, resume_point
from imageedit_server.engine.submit_unknown import SubmitUnknown
from imageedit_server.engine.submitting import Submitting
from imageedit_server.engine.tools import Tools
from imageedit_server.engine.waiting import Waiting
from imageedit_server.providers.base import (
    Accepted,
    Ambiguous,
    Finished,
    NotProcessed,
    PrepareError,
)
from imageedit_server.providers.catalog import Offer
from imageedit_server.store.claims import Claimed
from imageedit_server.store.log import LeaseLost
from imageedit_server.telemetry.logs import note

_Heard = Accepted | Finished | Ambiguous | None
"""What a vendor said to a paid call; None when that ended the task, or gave it back."""

_log = logging.getLogger(__name__)


class Run:
    """Works on one task under its lease. ``paying`` is true while a paid call must not be cut short."""

    def __init__(self, claimed: Claimed, offer: Offer, gate: Gate, tools: Tools, late: LateResults) -> None:
        self._provider = provider = offer.provider
        self._recorder = recorder = Recorder(claimed, tools, provider.adapter.charge)
        self._timeout = asyncio.timeout_at(_end_of(recorder))
        self._preparing = Preparing(recorder, offer, gate, tools)
        self._waiting = Waiting(recorder, provider, tools.clock)
        self._downloading = Downloading(recorder, provider.name, tools.results, self._waiting, late)
        self._paying = Paying(recorder, provider, tools)
        self._submitting = Submitting(recorder, provider, gate, self._paying, self._downloading)
        self._submit_unknown = SubmitUnknown(recorder, provider.adapter, tools)
        self._leaving = False
        self.paying = False

    async def carry_on(self) -> None:
        """Go on from wherever the task stands. Ends when the task is finished, given back or lost."""
        task = self._recorder.task
        note(tenant=task.tenant, task_id=task.task_id, provider=self._provider.name)
        try:
            try:
                async with self._timeout:
                    await self._go_on()
            except TimeoutError:
                if not self._timeout.expired():  # of something within, which says nothing about the task
                    raise
                self._downloading.let_go()
                await self._recorder.expire()
        except LeaseLost:
            _log.info("the task has another owner or is finished")

    @property
    def image_ids(self) -> set[str]:
        """The images that the task speaks of, as far as this run knows."""
        return {image.image_id for image in self._recorder.task.status.all_images()}

    def called_back(self) -> None:
        """The vendor called back: poll now instead of later."""
        self._waiting.called_back()

    def leave(self) -> None:
        """The server stops: go on only until the outcome of a paid call is recorded."""
        self._leaving = True

    async def _go_on(self) -> None:
        urls = await self._recorder.result_urls()
        adapter, task = self._provider.adapter, self._recorder.task
        point = resume_point(
            task,
            adapter.submit_safety,
            has_result_urls=bool(urls),
            polls=adapter.polls,
            is_unread=self._recorder.is_unread,
        )
        match point:
            case ResumePoint.SUBMIT:
                await self._attempt(again=False)
            case ResumePoint.SUBMIT_AGAIN:
                await self._attempt(again=True)
            case ResumePoint.POLL:
                self.called_back()  # by a callback or a restart: either way, ask now
                await self._wait()
            case ResumePoint.READ:
                await self._submit(self._submitting.read)
            case ResumePoint.DECIDE_UNKNOWN:
                await self._settle()
            case ResumePoint.FETCH:
                await self._downloading.go_on(urls)
            case ResumePoint.GIVE_UP:
                await self._downloading.give_up()

    async def _attempt(self, *, again: bool) -> None:
        self._limit_to_deadline()
        number = len(self._recorder.task.status.attempts) + (0 if again else 1)
        note(attempt=number)
        token = "" if again else secrets.token_urlsafe(32)  # the first call's, of which only the hash is kept
        try:
            prepared = await self._preparing.prepare(number, token)
            await self._paying.reserve(prepared, number, token)
        except PrepareError as error:
            await self._recorder.fail(error.failure)
        except NotProcessed as error:
            await self._recorder.give_back(error)
        else:
            with self._paying_for_it():  # an intent whose call was stopped would stay in doubt
                await self._submitting.intend(number, token, prepared, again=again)
            await self._submit(partial(self._submitting.pay, prepared))

    async def _submit(self, call: Callable[[], Awaitable[_Heard]]) -> None:
        with self._paying_for_it():
            answer = await self._pay(call)
            if isinstance(answer, Finished):  # what came with the answer exists nowhere else yet
                self._limit_to_grace()
                if not self._downloading.is_home:
                    await self._downloading.bring_home(answer)
            else:
                self._limit_to_deadline()
        if isinstance(answer, Accepted) and not self._leaving:
            await self._wait()

    @contextmanager
    def _paying_for_it(self) -> Iterator[None]:
        self.paying = not self._provider.adapter.charge.is_free
        try:
            yield
        finally:
            self.paying = False

    async def _pay(self, call: Callable[[], Awaitable[_Heard]]) -> _Heard:
        """Pay without the deadline: the call has a limit of its own, and its outcome is always recorded."""
        self._timeout.reschedule(None)
        answer = await call()
        if isinstance(answer, Ambiguous):
            await self._settle()
        return answer

    async def _settle(self) -> None:
        if await self._submit_unknown.settle():
            await self._attempt(again=False)

    async def _wait(self) -> None:
        if finished := await self._waiting.until_done():
            self._limit_to_grace()
            await self._downloading.take_polled(finished)

    def _limit_to_deadline(self) -> None:
        self._timeout.reschedule(self._recorder.clock.deadline)

    def _limit_to_grace(self) -> None:
        """The vendor has made the result: it has a little longer than the task to come home."""
        self._timeout.reschedule(self._recorder.clock.end_of_grace)


def _end_of(recorder: Recorder) -> float:
    """When a claimed task has to end: a result that its vendor reported before has its grace."""
    attempts = recorder.task.status.attempts
    made = bool(attempts) and attempts[-1].outcome is Outcome.SUCCEEDED
    return recorder.clock.end_of_grace if made else recorder.clock.deadline
