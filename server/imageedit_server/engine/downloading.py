"""Results on their way home: fetched, verified and durable before SUCCEEDED is said."""

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
        try:
            with provider_call(self._provider, "download") as call:
                images = call.ended(await self._results.bring_home(finished.outputs), "done")
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
            failpoint("download_before_commit")
            await self._succeed_or_keep(images)
            self._on_the_way = None
            failpoint("download_after_commit")

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

    async def _succeed_or_keep(self, images: tuple[Image, ...]) -> None:
        """End the task with its results; where it has ended meanwhile, keep them with the attempt."""
        try:
            await self._recorder.succeed(images)
        except LeaseLost:
            await self._recorder.late(images)
            raise

    async def _ask_again(self) -> Finished | None:
        """Ask an asynchronous vendor for its result once more; others have nothing more to say."""
        answer = await self._waiting.ask() if self._waiting.can_ask else None
        return answer if isinstance(answer, Finished) else None
