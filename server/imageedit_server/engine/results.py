"""Results: what a vendor made becomes images of this service, fully decoded, hashed and durable (P19)."""

import logging
from dataclasses import replace
from urllib.parse import urlsplit

from imageedit_server.core.errors import Code, Refusal
from imageedit_server.core.image import Image
from imageedit_server.images.library import ImageLibrary
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.providers.base import Output
from imageedit_server.runtime.clock import Clock

FETCH_SECONDS = 120.0
GONE = (403, 404, 410)
RETRY_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0)

_log = logging.getLogger(__name__)


class BadResult(Exception):
    """A result cannot be used, and fetching it again would not help. The message is for people."""


class ResultGone(Exception):
    """A result is no longer where the vendor said; it may say another place."""


class _TryAgain(Exception):
    """Nothing is wrong with the result."""


class Results:
    """Brings outputs home."""

    def __init__(self, library: ImageLibrary, fetch: GuardedFetch, clock: Clock, *, max_bytes: int) -> None:
        self._library = library
        self._fetch = fetch
        self._clock = clock
        self._max_bytes = max_bytes

    async def bring_home(self, outputs: tuple[Output, ...]) -> tuple[Image, ...]:
        """Store every output, in order. Raises ``BadResult``, ``ResultGone``.

        A broken transfer and a full disk are tried again for as long as the caller lets it (F20).
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
        tries = 0
        while True:
            try:
                image = await (self._fetched(output.url) if output.url else self._kept(output.content))
                return replace(
                    image, source_url=without_query(output.url), revised_prompt=output.revised_prompt
                )
            except _TryAgain as error:
                _log.warning("a result is not home yet: %s", error)
            await self._clock.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
            tries += 1

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


def _judged(refusal: Refusal) -> BadResult | _TryAgain:
    """A picture that is refused is the provider's fault; anything else is ours and may pass."""
    if refusal.reason.code is Code.INVALID_ARGUMENT:
        return BadResult(f"The provider's {refusal.message}.")
    return _TryAgain(refusal.message)
