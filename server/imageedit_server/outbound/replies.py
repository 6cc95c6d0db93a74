"""Replies, read raw: what is counted is what came over the wire (F44)."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx

from imageedit_server.outbound.errors import Late, Unacceptable, in_our_words
from imageedit_server.outbound.limits import Limit


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawBody:
    """The bytes of a reply's body, up to ``max_bytes`` and to ``limit``.

    A body that is cut short shows only where its length was announced: without a Content-Length, and not
    chunked, the end of the connection is the end of the body. Whoever needs the whole checks the content.
    """

    def __init__(
        self, response: httpx.Response, *, limit: Limit, max_bytes: int, may_be_coded: bool = False
    ) -> None:
        self._response = response
        self._limit = limit
        self._max_bytes = max_bytes
        self._may_be_coded = may_be_coded

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, once, in pieces of at most 256 KiB. Raises ``Broken``.

        A compressed body is refused, since one megabyte of it can be gigabytes before any count sees them;
        unless it ``may_be_coded``, where the caller counts what it holds.
        """
        self._refuse_by_its_head()
        size = 0
        async with aclosing(raw_pieces(self._response)) as raw:
            while chunk := await next_piece(raw, self._limit):
                size += len(chunk)
                self._check_size(size)
                yield chunk

    async def read(self) -> bytes:
        """Return all of it. Raises ``Broken``."""
        return b"".join([chunk async for chunk in self.chunks()])

    def _refuse_by_its_head(self) -> None:
        coding = self._response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("", "identity") and not self._may_be_coded:
            raise Unacceptable("The reply is compressed, though it was asked not to be.")
        length = self._response.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and len(length) < 20:
            self._check_size(int(length))

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise Unacceptable(f"The reply has more than {self._max_bytes} bytes.")


def raw_pieces(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Return the body's pieces as they come over the wire; the caller closes the generator."""
    # Not by httpx's aiter_raw, which cuts them as it is told: one more generator for every piece.
    return cast(AsyncGenerator[bytes, None], aiter(cast(httpx.AsyncByteStream, response.stream)))


async def next_piece(raw: AsyncIterator[bytes], limit: Limit) -> bytes:
    """Return the next piece of a body, empty at its end. Raises ``Broken``, ``Late`` at the limit."""
    with in_our_words():
        try:
            async with limit:
                return await anext(raw, b"")
        except TimeoutError:
            raise Late("The reply did not come in time.") from None
