"""Results: what a vendor made becomes images of this service, fully decoded, hashed and durable (P19).

Which error means what is said here, once: the picture's own fault ends the bringing home (``BadResult``), a
result that is elsewhere is for the caller (``ResultGone``), a broken disk is for the process
(``StorageBroken``). Everything else, whatever it is, says nothing about what was paid for: it is tried again.
"""

import asyncio
import logging
from dataclasses import replace
from urllib.parse import urlsplit

from imageedit_server.core.errors import Code, Refusal
from imageedit_server.core.image import Image
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.providers.base import Output
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.workers import Overran, WorkerDied

FETCH_SECONDS = 120.0
GONE = (403, 404, 410)
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Pauses between the tries; the last one stays."""
MAX_LOST_WORKERS = 5
"""How many worker processes may be lost over a picture before it is held to be the picture's fault."""

_log = logging.getLogger(__name__)


class BadResult(Exception):
    """A result cannot be used, and fetching it again would not help. The message is for people."""


class ResultGone(Exception):
    """A result is no longer where the vendor said; it may say another place."""


class _TryAgain(Exception):
    """Nothing is wrong with the result."""


class _WorkerLost(Exception):
    """A worker was lost over the picture: once it says nothing, again and again it is the picture's doing."""


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

    async def keep_preview(self, content: bytes) -> Image | None:
        """Store a partial picture; None when it is not one, since previews prove nothing."""
        try:
            return await self._library.add_bytes(content, field="preview")
        except Refusal:
            return None

    async def _bring(self, output: Output) -> Image:
        tries = lost_workers = 0
        while True:
            try:
                return await self._bring_once(output)
            except (BadResult, ResultGone, StorageBroken):
                raise
            except _WorkerLost as error:
                lost_workers += 1
                if lost_workers == MAX_LOST_WORKERS:
                    raise BadResult(str(error)) from None
                _log.warning("a result is not home yet: %s", error)
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
            if failed.status in GONE:
                raise ResultGone from None
            raise (BadResult if failed.final else _TryAgain)(str(failed)) from None
        except Refusal as refusal:
            raise _judged(refusal) from None


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, where signatures stand."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _judged(refusal: Refusal) -> BadResult | _TryAgain | _WorkerLost:
    """A picture that is refused is the provider's fault; anything else is ours and may pass."""
    if refusal.reason.code is not Code.INVALID_ARGUMENT:
        return _TryAgain(refusal.message)
    lost = isinstance(refusal.__cause__, (WorkerDied, Overran, MemoryError))
    return (_WorkerLost if lost else BadResult)(f"The provider's {refusal.message}.")


def _is_cancelled() -> bool:
    """Whether whoever waits for the result gave up, and not something within that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _named(error: BaseException) -> str:
    """Describe an error without its text, in which a signed URL may stand (P26)."""
    if isinstance(error, _TryAgain):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
