"""Results: what a vendor made becomes images of this service, checked to the end, hashed and durable (P19).

Which error means what is said here, once: the picture's own fault ends the bringing home (``BadResult``), a
result that is elsewhere is for the caller (``ResultGone``), a broken disk is for the process
(``StorageBroken``). Everything else, whatever it is, says nothing about what was paid for: it is tried again.
Two answers count only when they last: stores say 403 or 404 of what they will have in a moment, and the host
of an http address that cannot be reached over https may be away.
"""

import asyncio
import logging
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit

from imageedit_server.core.errors import Code, Refusal
from imageedit_server.core.image import Image
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.in_hand import Held
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.providers.base import Output
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.workers import Overran, WorkerDied

FETCH_SECONDS = 120.0
GONE = 410
NOT_THERE = (403, 404)
"""What a store answers of a result that it does not have yet, or no more (F51)."""
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Pauses between the tries; the last one stays."""
MAX_LOST_WORKERS = 5
"""How many worker processes may be lost over a picture before it is held to be the picture's fault."""
MAX_NOT_THERE = 1 + len(RETRY_SECONDS)
"""How often a result may be missing before it is gone: for 38 of the 60 s that stores take at most."""
MAX_NO_HTTPS = 3 + len(RETRY_SECONDS)
"""How often the host of an http address may be unreachable over https: for 78 s."""

_log = logging.getLogger(__name__)


class BadResult(Exception):
    """A result cannot be used, and fetching it again would not help. The message is for people."""


class ResultGone(Exception):
    """A result is no longer where the vendor said; it may say another place."""


class _TryAgain(Exception):
    """Nothing is wrong with the result."""


class _Doubtful(Exception):
    """Says nothing once; a kind that is met ``most`` times over one output is ``end``."""

    most: ClassVar[int]

    def __init__(self, end: BadResult | ResultGone) -> None:
        super().__init__(str(end) or "it is not where the provider said")
        self.end = end


class _WorkerLost(_Doubtful):
    most = MAX_LOST_WORKERS


class _NotThere(_Doubtful):
    most = MAX_NOT_THERE


class _NoHttps(_Doubtful):
    most = MAX_NO_HTTPS


class Results:
    """Brings outputs home."""

    def __init__(self, library: ImageLibrary, fetch: GuardedFetch, clock: Clock, *, max_bytes: int) -> None:
        self._library = library
        self._fetch = fetch
        self._clock = clock
        self._max_bytes = max_bytes

    async def bring_home(self, outputs: tuple[Output, ...]) -> tuple[Image, ...]:
        """Store every output, in order. Raises ``BadResult``, ``ResultGone``.

        All else is tried again for as long as the caller lets it (F20, F27). Of a broken disk it raises
        ``StorageBroken``, after which the process ends (F22).
        """
        if not outputs:
            raise BadResult("The provider reported success without a picture.")
        return tuple([await self._bring(output) for output in outputs])

    def holding(self) -> AbstractContextManager[Held]:
        """Have in hand until the block ends what is brought home within it, until its row is durable."""
        return self._library.holding()

    async def keep_preview(self, content: bytes) -> Image | None:
        """Store a partial picture; None when it is not one, since previews prove nothing."""
        try:
            return await self._library.add_bytes(content, field="preview")
        except Refusal:
            return None

    async def _bring(self, output: Output) -> Image:
        tries, doubts = 0, Counter[type[_Doubtful]]()
        while True:
            try:
                return await self._bring_once(output)
            except (BadResult, ResultGone, StorageBroken):
                raise
            except _Doubtful as doubtful:
                doubts[type(doubtful)] += 1
                if doubts[type(doubtful)] == doubtful.most:
                    raise doubtful.end from None
                _log.warning("a result is not home yet: %s", doubtful)
            except (Exception, asyncio.CancelledError) as error:
                if _is_cancelled():
                    raise asyncio.CancelledError from error
                _log.warning("a result is not home yet: %s", _named(error))
            await self._clock.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1

    async def _bring_once(self, output: Output) -> Image:
        image = await (self._fetched(output.url) if output.url else self._kept(output.content))
        return replace(image, source_url=without_query(output.url), revised_prompt=output.revised_prompt)

    async def _kept(self, content: bytes) -> Image:
        try:
            return await self._library.add_bytes(content, field="result")
        except Refusal as refusal:
            raise _judged(refusal) from None

    async def _fetched(self, url: str) -> Image:
        try:
            async with self._fetch.open(
                url, max_bytes=self._max_bytes, limit_seconds=FETCH_SECONDS
            ) as fetched:
                return await self._library.add(fetched.chunks(), field="result")
        except UrlRefused as refused:
            raise BadResult(f"The provider's result is at an address that is refused: {refused}") from None
        except FetchFailed as failed:
            raise _fetch_error(failed) from None
        except Refusal as refusal:
            raise _judged(refusal) from None


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, where signatures stand."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _fetch_error(failed: FetchFailed) -> Exception:
    if failed.status == GONE:
        return ResultGone()
    if failed.status in NOT_THERE:
        return _NotThere(ResultGone())
    if failed.tried_as_https:
        return _NoHttps(BadResult(f"The provider's result is at an http address. {failed}"))
    return (BadResult if failed.final else _TryAgain)(str(failed))


def _judged(refusal: Refusal) -> Exception:
    """A picture that is refused is the provider's fault; anything else is ours and may pass."""
    if refusal.reason.code is not Code.INVALID_ARGUMENT:
        return _TryAgain(refusal.message)
    bad = BadResult(f"The provider's {refusal.message}.")
    lost = isinstance(refusal.__cause__, (WorkerDied, Overran, MemoryError))
    return _WorkerLost(bad) if lost else bad


def _is_cancelled() -> bool:
    """Whether whoever waits for the result gave up, and not something within that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _named(error: BaseException) -> str:
    """Describe an error without its text, in which a signed URL may stand (P26)."""
    if isinstance(error, _TryAgain):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
