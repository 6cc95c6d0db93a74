"""One paid call: described, given a place for its answer, made, and its answer understood (P31).

The answer is on the disk before anything is done about it, where it alone brings what was paid for. What the
fact's own commit makes durable, accepted work and refusals, need not wait for the disk.

Failpoint (PROMISES §4): ``answer_understood`` (F97: what it means is known, nothing was done about it).
"""

import asyncio
import hashlib
import logging
from dataclasses import replace

from imageedit_server import __version__
from imageedit_server.answers.layout import Asked, TooLong
from imageedit_server.answers.room import NoPlace
from imageedit_server.answers.writing import Writing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.engine.reading import best_of, understood
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.tools import Tools
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.outbound.client import NotSent
from imageedit_server.providers.base import Accepted, Ambiguous, Finished, NotProcessed, Prepared
from imageedit_server.providers.catalog import Provider
from imageedit_server.providers.outcomes import ambiguous, paid_call_error
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store.answers import token_of
from imageedit_server.store.attempts import AttemptKey

NO_PLACE_RETRY_SECONDS = 5.0
"""When to look again for a place for an answer."""
SYNC_EARLY_BYTES = 8 * 1024
"""An answer of so many bytes holds a picture, most likely: it goes to the disk while it is read."""
SAVE_SECONDS = 1.0
"""How long what is readable waits for the disk: it is in memory, and may come home from there."""
READ_PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds after each try to read a file."""

_log = logging.getLogger(__name__)


class Paying:
    """Makes the paid calls of one task, and reads what an earlier run's brought."""

    def __init__(self, recorder: Recorder, provider: Provider, tools: Tools) -> None:
        self._recorder = recorder
        self._provider = provider
        self._tools = tools
        self._call: PaidCall | None = None
        self._key: AttemptKey | None = None
        self._place: Writing | None = None
        self._saving: asyncio.Task[None] | None = None

    @property
    def is_described(self) -> bool:
        """Whether there is a call to make: whoever never bills works without one."""
        return self._call is not None

    async def reserve(self, prepared: Prepared, number: int, token: str) -> None:
        """Describe the call of attempt ``number``, and make a place ready for its answer.

        ``token`` is empty for another call of an attempt. Raises ``NotProcessed`` where no place can be had,
        also for a brief that is longer than a place has room for.
        """
        adapter = self._provider.adapter
        if adapter.charge.is_free:
            return
        self._call = call = adapter.paid_call(prepared, self._recorder.report)
        self._key = key = AttemptKey(self._recorder.task.task_id, number)
        asked = await self._asked(key, token, call)
        secrets = [*self._provider.options.secret_values(), token]
        try:
            self._place = await self._tools.answered.reserve(asked, call.expected_bytes, secrets)
        except (NoPlace, TooLong) as error:
            failure = Failure(reason=FailureReason.DEADLINE_EXCEEDED, message=str(error), retryable=True)
            raise NotProcessed(failure, retry_after_seconds=NO_PLACE_RETRY_SECONDS) from error

    def let_go(self) -> None:
        """The call is not made after all."""
        if self._key is not None and self._place is not None:
            self._tools.answered.unused(self._key, self._place)

    async def call(self) -> Accepted | Finished:
        """Make the call and understand its answer. Raises ``SubmitError``."""
        assert self._call is not None
        answer = await self._answered(self._call)
        self._recorder.heard(answer)
        saving = self._save() if len(answer.body) > SYNC_EARLY_BYTES else None
        try:
            meant = _acted_on_next(await understood(self._provider.adapter, answer))
        except Ambiguous:
            await (saving or self._save())
            raise
        if _is_all_there_is(meant):
            self._saving = saving or self._save()
        return meant

    async def saved(self) -> None:
        """Return when an answer that alone brings what was paid for is on the disk, or after a while."""
        if self._saving is not None and not self._saving.done():
            await asyncio.wait([self._saving], timeout=SAVE_SECONDS)

    async def read(self) -> Accepted | Finished:
        """Understand what an earlier run's calls brought. Raises ``SubmitError``."""
        answers = await self._stored()
        for answer in answers:
            self._recorder.heard(answer)
        answer, meant = await best_of(self._provider.adapter, answers)
        self._recorder.heard(answer)
        return _acted_on_next(meant)

    async def _asked(self, key: AttemptKey, token: str, call: PaidCall) -> Asked:
        hashed = (
            hashlib.sha256(token.encode()).hexdigest()
            if token
            else await self._tools.database.look_up(token_of, key)
        )
        return Asked(
            task_id=key.task_id,
            attempt=key.number,
            call=self._tools.answered.calls(key) + 1,
            token_sha256=hashed,
            provider=self._provider.name,
            version=__version__,
            call_time=self._recorder.now(),
            brief=call.brief,
        )

    async def _answered(self, call: PaidCall) -> Answer:
        limited = replace(call, limit_seconds=min(call.limit_seconds, self._recorder.clock.remaining()))
        try:
            return await self._provider.adapter.payer.pay(limited, self._place)
        except NotSent as error:
            self.let_go()
            raise paid_call_error(error) from error

    def _save(self) -> asyncio.Task[None]:
        assert self._place is not None
        return self._tools.answered.save(self._place)

    async def _stored(self) -> list[Answer]:
        """Return what earlier calls brought; a full table of descriptors passes, a broken disk does not."""
        for pause in READ_PAUSES:
            try:
                return await self._tools.answered.read(self._recorder.key)
            except OSError as error:
                _log.warning("an answer cannot be read yet: %s", error.strerror)
            await self._tools.clock.sleep(pause)
        raise ambiguous("The provider's answer cannot be read from the disk.")


def _is_all_there_is(meant: Accepted | Finished) -> bool:
    """Whether what was paid for exists in the answer alone."""
    return isinstance(meant, Finished) and any(output.content for output in meant.outputs)


def _acted_on_next(meant: Accepted | Finished) -> Accepted | Finished:
    failpoint("answer_understood")
    return meant
