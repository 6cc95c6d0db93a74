"""The one way from a run to the store: every decision and every fact about one claimed task."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing, Charge
from imageedit_server.core.deviations import deviations
from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Outcome, Stage, Task
from imageedit_server.core.transitions import Transition
from imageedit_server.engine.answered import head_of
from imageedit_server.engine.retries import retry_delay
from imageedit_server.engine.task_clock import TaskClock
from imageedit_server.engine.tools import Tools
from imageedit_server.outbound.answers import Answer
from imageedit_server.providers.base import (
    NO_IDS,
    Accepted,
    Finished,
    NotProcessed,
    Refused,
    SubmitError,
    VendorIds,
)
from imageedit_server.store.attempts import (
    AttemptKey,
    Fact,
    VendorTaskTaken,
    add_late_images,
    begin_attempt,
    learn,
    learn_and_change,
    learn_and_end,
    result_urls,
)
from imageedit_server.store.claims import Claimed
from imageedit_server.store.decisions import change
from imageedit_server.store.log import LeaseLost

T = TypeVar("T")

FULL_RETRY_SECONDS = 1.0


class Recorder:
    """Writes what happens to ``task`` under its lease. Decisions raise ``LeaseLost``, facts never.

    ``charge`` is how the provider of its attempts bills, ``clock`` tells how much of its time is left.
    """

    def __init__(self, claimed: Claimed, tools: Tools, charge: Charge) -> None:
        self.task: Task = claimed.task
        self.clock = TaskClock(claimed.task, tools.clock.now(), tools.result_grace)
        self._lease = claimed.lease
        self._charge = charge
        self._tools = tools
        self._database = tools.database
        self._answer: Answer | None = None

    @property
    def attempt(self) -> Attempt:
        """The latest attempt, as of the last decision."""
        return self.task.status.attempts[-1]

    @property
    def key(self) -> AttemptKey:
        """The name of the latest attempt."""
        return AttemptKey(self.task.task_id, self.attempt.number)

    @property
    def is_unread(self) -> bool:
        """Whether an answer to the latest attempt came that nothing was done about."""
        return bool(self.task.status.attempts) and self._tools.answered.is_unread(self.key)

    def heard(self, answer: Answer) -> None:
        """Take what came of the latest attempt's call: its head goes with the facts."""
        self._answer = answer

    def now(self) -> datetime:
        """Return the wall time."""
        return self._tools.clock.now()

    def retry_time(self, retry_after_seconds: float | None = None) -> datetime:
        """Return when to try again after a call that brought nothing."""
        now = self.now()
        return now + timedelta(seconds=retry_delay(self.task, retry_after_seconds, now))

    # Decisions

    async def decide(
        self,
        transition: Transition,
        *,
        images: Sequence[Image] = (),
        not_before: datetime | None = None,
    ) -> None:
        """Apply ``transition``; with ``not_before`` let go of the task until then."""
        self.task = await self._keep_trying(
            lambda now: self._database.record(
                change, self._lease, transition, now, images=images, not_before=not_before
            )
        )

    async def enter(self, stage: Stage, *, warnings: tuple[str, ...] = ()) -> None:
        """Reach ``stage``."""
        await self.decide(_entering(stage, warnings))

    async def begin(self, attempt: Attempt, token_sha256: str, warnings: tuple[str, ...]) -> None:
        """Make the intent to pay durable, before the paid call (P4)."""
        announce = _entering(Stage.SUBMITTING, warnings)
        self.clock.submitted()
        self.task = await self._keep_trying(
            lambda now: self._database.record(
                begin_attempt, self._lease, replace(attempt, submit_time=now), token_sha256, announce
            )
        )

    async def succeed(self, images: tuple[Image, ...]) -> None:
        """End the task with its results, and with what is otherwise about them than was asked."""
        await self.decide(self._succeeding(images), images=images)
        if self.task.status.attempts:
            self._tools.answered.acted_on(self.key)

    async def fail(self, error: Failure) -> None:
        """End the task with its error."""
        await self.decide(partial(transitions.fail, error=error))

    async def fail_because(self, reason: FailureReason, message: str) -> None:
        """End the task with an error of ours."""
        await self.fail(Failure(reason=reason, message=message))

    async def expire(self) -> None:
        """End the task at its deadline."""
        await self.decide(transitions.expire)

    async def give_back(self, error: NotProcessed) -> None:
        """Queue the task again, or end it where it would wait past its deadline."""
        not_before = self.retry_time(error.retry_after_seconds)
        if not_before >= self.task.deadline:
            await self.fail(replace(error.failure, retryable=True))
        else:
            await self.decide(transitions.give_back, not_before=not_before)

    async def progress(self, percent: int | None) -> None:
        """Tell watchers how far the provider is, if that is news."""
        if percent is not None and self._is_news(percent):
            await self.decide(partial(transitions.progress, percent=percent))

    async def report(self, *, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        """Take an adapter's report. Never raises, never waits for room: a paid call must go on."""
        with suppress(Exception):  # a store that is broken ends the process by itself
            if progress_percent is not None and self._is_news(progress_percent):
                await self._show(partial(transitions.progress, percent=progress_percent))
            if preview is not None and (image := await self._tools.results.keep_preview(preview)):
                await self._show(partial(transitions.preview, image=image), image)

    async def _show(self, transition: Transition, *images: Image) -> None:
        now = self.now()
        self.task = await self._database.record(change, self._lease, transition, now, images=images)

    def _is_news(self, percent: int) -> bool:
        return transitions.progress(self.task.status, self.now(), percent) != self.task.status

    # Facts

    async def not_processed(self, error: SubmitError) -> None:
        """The vendor did nothing with the attempt."""
        outcome, billing = Outcome.NOT_PROCESSED, self._charge.not_processed
        fact = Fact(outcome=outcome, billing=billing, error=error.failure, usage=error.usage)
        await self._learn_of(error.ids, fact)
        self._tools.answered.acted_on(self.key)

    async def refused(self, error: Refused) -> None:
        """The vendor will make nothing of the attempt; what it bills all the same was no refusal to work."""
        if self._charge.is_free or error.billing is Billing.NOT_CHARGED:
            await self.not_processed(error)
        else:
            fact = Fact(outcome=Outcome.FAILED, billing=error.billing, error=error.failure, usage=error.usage)
            await self._learn_of(error.ids, fact)
            self._tools.answered.acted_on(self.key)

    async def unknown(
        self, error: Failure = transitions.SUBMIT_OUTCOME_UNKNOWN, ids: VendorIds = NO_IDS
    ) -> None:
        """Nobody knows whether the vendor took the attempt."""
        await self._learn_of(ids, Fact(outcome=Outcome.UNKNOWN, error=error), kept=self.is_unread)
        await self._tools.answered.keep(self.key)

    async def interrupted(self) -> None:
        """Nobody heard how the attempt's last call ended: what the next one says is not proof of that one."""
        await self._learn(Fact(outcome=Outcome.UNKNOWN))

    async def accepted(self, accepted: Accepted) -> None:
        """The vendor took the attempt; reach WAITING, in the same commit."""
        fact = Fact(
            outcome=Outcome.ACCEPTED,
            vendor_task_id=accepted.vendor_task_id,
            vendor_request_id=accepted.vendor_request_id,
            usage=accepted.usage,
        )
        try:
            await self._learn_and_decide(fact, _entering(Stage.WAITING))
        except LeaseLost:
            self._tools.answered.acted_on(self.key)
            raise
        self._tools.answered.acted_on(self.key)

    async def succeeded(self, finished: Finished, urls: tuple[str, ...]) -> None:
        """The vendor made the result; reach DOWNLOADING, in the same commit. ``urls`` are to be kept."""
        fact = replace(
            self._success(),
            vendor_request_id=finished.vendor_request_id,
            result_urls=urls,
            usage=finished.usage,
        )
        await self._learn_and_decide(fact, _entering(Stage.DOWNLOADING, finished.warnings))

    async def succeeded_at_once(self, finished: Finished, images: tuple[Image, ...]) -> None:
        """The vendor made the result and it is home; reach DOWNLOADING and the end, in the same commit."""
        reach = _entering(Stage.DOWNLOADING, finished.warnings)
        fact = replace(self._success(), vendor_request_id=finished.vendor_request_id, usage=finished.usage)
        fact = self._with_head(fact)
        end = self._succeeding(images)
        task = await self._keep_trying(
            lambda now: self._database.record(
                learn_and_end,
                self._lease,
                self.key,
                _at(fact, now),
                reach=reach,
                end=end,
                images=images,
                now=now,
            )
        )
        if task is None:
            await self.late(images)
            raise LeaseLost
        self.task = task
        self._tools.answered.acted_on(self.key)

    def _succeeding(self, images: tuple[Image, ...]) -> Transition:
        warnings = deviations(self.task.request, self.task.status.size, images)
        return lambda status, now: transitions.warn(transitions.succeed(status, now, images), warnings)

    async def succeeded_in_vain(self) -> None:
        """The vendor reported success without a result."""
        await self._learn(self._success())

    def _success(self) -> Fact:
        return Fact(outcome=Outcome.SUCCEEDED, billing=self._charge.succeeded)

    async def failed(self, error: Failure) -> None:
        """The vendor took the attempt and failed it, or its result is unusable."""
        await self._learn(Fact(outcome=Outcome.FAILED, error=error), kept=self.is_unread)
        await self._tools.answered.keep(self.key)

    async def fail_attempt(self, failure: Failure) -> None:
        """The attempt failed, and the task with it."""
        await self.failed(failure)
        await self.fail(failure)

    async def late(self, images: tuple[Image, ...]) -> None:
        """Results came after the task had ended: they are kept with the attempt."""
        await self._keep_trying(lambda now: self._database.record(add_late_images, self.key, images, now))
        self._tools.answered.acted_on(self.key)

    async def result_urls(self) -> tuple[str, ...]:
        """Return where the vendor said that the attempt's results are."""
        return await self._database.look_up(result_urls, self.key) if self.task.status.attempts else ()

    async def _learn_of(self, ids: VendorIds, fact: Fact, *, kept: bool = False) -> None:
        """Write a fact with the ids that an error named. One that names other work proves nothing."""
        fact = replace(fact, vendor_request_id=ids.request_id)
        try:
            await self._learn(replace(fact, vendor_task_id=ids.task_id), kept=kept)
        except VendorTaskTaken:
            await self._learn(fact, kept=kept)

    async def _learn(self, fact: Fact, *, kept: bool = False) -> None:
        fact = self._with_head(fact, kept=kept)
        await self._keep_trying(lambda now: self._database.record(learn, self.key, _at(fact, now)))

    async def _learn_and_decide(self, fact: Fact, transition: Transition) -> None:
        """Write a fact in any case; raises ``LeaseLost`` when the decision could not be made with it."""
        fact = self._with_head(fact)
        task = await self._keep_trying(
            lambda now: self._database.record(
                learn_and_change, self._lease, self.key, _at(fact, now), transition, now
            )
        )
        if task is None:
            raise LeaseLost
        self.task = task

    def _with_head(self, fact: Fact, *, kept: bool = False) -> Fact:
        return replace(fact, answer=head_of(self._answer, kept=kept)) if self._answer else fact

    async def _keep_trying(self, write: Callable[[datetime], Coroutine[Any, Any, T]]) -> T:
        """Write, and wait while the disk is full: what was paid for must not be forgotten (F19, P6).

        Each try reads the clock once: an event, its status and the fact behind it have one time.
        """
        while True:
            try:
                return await write(self.now())
            except Refusal as refusal:
                if refusal.reason not in (Reason.STORAGE_FULL, Reason.STORE_BUSY):
                    raise
            await self._tools.clock.sleep(FULL_RETRY_SECONDS)


def _entering(stage: Stage, warnings: tuple[str, ...] = ()) -> Transition:
    return lambda status, now: transitions.warn(transitions.enter(status, now, stage), warnings)


def _at(fact: Fact, now: datetime) -> Fact:
    return replace(fact, end_time=now) if fact.outcome.ends else fact
