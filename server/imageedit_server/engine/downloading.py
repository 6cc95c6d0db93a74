"""Results on their way home: fetched, verified and durable before SUCCEEDED is said."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.engine.late_results import LateResults
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.results import BadResult, ResultGone, Results
from imageedit_server.engine.waiting import Waiting
from imageedit_server.providers.base import Finished, Output
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store.log import LeaseLost
from imageedit_server.telemetry.metrics import provider_call

SOON_SECONDS = 1.0
"""So long watchers may wait to hear that a vendor is done, for the sake of one commit less."""

_GONE = Failure(
    reason=FailureReason.RESULT_EXPIRED,
    message="The provider's result was gone before it could be fetched.",
)
_LOST = Failure(
    reason=FailureReason.RESULT_EXPIRED,
    message="The provider's answer was lost before it was stored.",
)


class Downloading:
    """Ends one task with what its vendor made."""

    def __init__(
        self, recorder: Recorder, provider: str, results: Results, waiting: Waiting, late: LateResults
    ) -> None:
        self._recorder = recorder
        self._provider = provider
        self._results = results
        self._waiting = waiting
        self._late = late
        self._on_the_way: Finished | None = None
        self._bringing: asyncio.Task[tuple[Image, ...]] | None = None
        self.is_home = False
        """Whether the pictures that came with an answer are home, and the task has ended with them."""

    async def take(self, finished: Finished, saved: Callable[[], Awaitable[None]]) -> None:
        """Make durable that the vendor succeeded, in one commit with its pictures where they are home soon.

        That commit rests on no file. The success alone waits for ``saved``, which returns when the answer is
        on the disk. Raises ``LeaseLost``.
        """
        if images := await self._soon(finished):
            await _committed(partial(self._recorder.succeeded_at_once, finished, images))
            self.is_home = True
            return
        try:
            await saved()
            await self.begin(finished)
        except BaseException:
            self._stop_bringing()
            raise

    async def begin(self, finished: Finished) -> None:
        """Make durable that the vendor succeeded, before anything is fetched. Raises ``LeaseLost``."""
        polled = self._waiting.can_ask  # then no signed URL has to be kept
        urls = () if polled else tuple(output.url for output in finished.outputs if output.url)
        await self._recorder.succeeded(finished, urls)

    async def bring_home(self, finished: Finished, *, fresh: bool = False) -> None:
        """Bring every result home, verified and durable, then say SUCCEEDED.

        Where the result is gone, the vendor is asked once for a ``fresh`` address (F51).
        """
        self._on_the_way = finished
        bringing, self._bringing = self._bringing, None
        try:
            images = await (bringing or self._brought(finished))
        except BadResult as error:
            self._on_the_way = None
            failure = Failure(reason=FailureReason.PROVIDER_BAD_RESULT, message=str(error))
            await self._recorder.fail_attempt(failure)
        except ResultGone:
            again = None if fresh else await self._ask_again()
            if again is None:
                self._on_the_way = None
                await self._recorder.fail_attempt(_GONE)
            else:
                await self.bring_home(again, fresh=True)
        else:
            await _committed(partial(self._succeed_or_keep, images))
            self._on_the_way = None

    async def take_polled(self, finished: Finished) -> None:
        """Take what a poll found done."""
        failpoint("poll_after_success")
        await self.begin(finished)
        await self.bring_home(finished)

    async def go_on(self, urls: tuple[str, ...]) -> None:
        """Go on after a restart, from where the vendor said that the results are."""
        await self.bring_home(Finished(outputs=tuple(Output(url=url) for url in urls)))

    async def give_up(self) -> None:
        """End a task whose results came with an answer that died with the process that held it."""
        await self._recorder.fail(_LOST)

    def let_go(self) -> None:
        """Leave what is on its way to the collector of late results: the task's time is over."""
        if self._on_the_way is not None:
            self.keep_late(self._on_the_way)

    def keep_late(self, finished: Finished) -> None:
        """Leave what came after the task had ended to the collector of late results, which keeps trying.

        A run would hold a place of the engine meanwhile.
        """
        self._late.hold(self._recorder.key, finished)

    async def _soon(self, finished: Finished) -> tuple[Image, ...]:
        """Return the pictures that came with the answer, if they are home soon; else nothing yet.

        What is at an address elsewhere takes longer, as a rule, and needs no file to be found again.
        """
        left = self._recorder.clock.end_of_grace - asyncio.get_running_loop().time()
        if left <= 0 or not all(output.content for output in finished.outputs):
            return ()
        self._bringing = bringing = asyncio.create_task(self._brought(finished), name="bringing home")
        try:
            await asyncio.wait([bringing], timeout=min(left, SOON_SECONDS))
        except BaseException:
            self._stop_bringing()
            raise
        return bringing.result() if bringing.done() and not bringing.exception() else ()

    async def _brought(self, finished: Finished) -> tuple[Image, ...]:
        with provider_call(self._provider, "download") as call:
            return call.ended(await self._results.bring_home(finished.outputs), "done")

    def _stop_bringing(self) -> None:
        if self._bringing is not None and not self._bringing.cancel():
            self._bringing.exception()  # which nobody needs any more

    async def _succeed_or_keep(self, images: tuple[Image, ...]) -> None:
        """End the task with its results; where it has ended meanwhile, keep them with the attempt."""
        try:
            await self._recorder.succeed(images)
        except LeaseLost:
            await self._recorder.late(images)
            raise

    async def _ask_again(self) -> Finished | None:
        """Ask an asynchronous vendor where its result is now; others have nothing more to say.

        It is asked at once, and again while it says nothing: a poll that fails proves no result gone.
        """
        if not self._waiting.can_ask:
            return None
        self._waiting.called_back()
        answer = await self._waiting.followed()
        return answer if isinstance(answer, Finished) else None


async def _committed(end: Callable[[], Awaitable[None]]) -> None:
    """Make the end of a task durable, between two points where a kill must cost nothing."""
    failpoint("download_before_commit")
    await end()
    failpoint("download_after_commit")
