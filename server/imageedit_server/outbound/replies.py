"""Replies, read raw: what is counted is what came over the wire (F44)."""

import asyncio
import codecs
import io
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx

from imageedit_server.outbound.errors import Broken, Unacceptable, in_our_words


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RawBody:
    """The bytes of a reply's body, up to ``max_bytes`` and to ``deadline`` (in the loop's time).

    A body that is cut short shows only where its length was announced: without a Content-Length, and not
    chunked, the end of the connection is the end of the body. Whoever needs the whole checks the content.
    """

    def __init__(self, response: httpx.Response, *, deadline: float, max_bytes: int) -> None:
        self._response = response
        self._deadline = deadline
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, once, in pieces of at most 64 KiB. Raises ``Broken``.

        A compressed body is refused: one megabyte of it can be gigabytes before any count sees them.
        """
        self._refuse_compressed()
        size = 0
        async with aclosing(cast(AsyncGenerator[bytes, None], self._response.aiter_raw())) as raw:
            while chunk := await self._next(raw):
                size += len(chunk)
                self._check_size(size)
                yield chunk

    async def _next(self, raw: AsyncIterator[bytes]) -> bytes:
        with in_our_words():
            try:
                async with asyncio.timeout_at(self._deadline):
                    return await anext(raw, b"")
            except TimeoutError:
                raise Broken("The reply did not come in time.") from None

    def _refuse_compressed(self) -> None:
        if self._response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise Unacceptable("The reply is compressed, though it was asked not to be.")
        length = self._response.headers.get("content-length", "")
        if length.isascii() and length.isdigit() and len(length) < 20:
            self._check_size(int(length))

    def _check_size(self, size: int) -> None:
        if size > self._max_bytes:
            raise Unacceptable(f"The reply has more than {self._max_bytes} bytes.")


class StreamReply:
    """A reply whose body still comes; header names are lower-case. Its body can be read once, one way."""

    def __init__(self, response: httpx.Response, *, deadline: float, max_bytes: int) -> None:
        self.status = response.status_code
        self.headers: Mapping[str, str] = dict(response.headers)
        self._body = RawBody(response, deadline=deadline, max_bytes=max_bytes)

    async def read(self) -> bytes:
        """Return the rest of the body. Raises ``Broken``."""
        return b"".join([chunk async for chunk in self._body.chunks()])

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises ``Broken``."""
        return self._body.chunks()

    async def aiter_lines(self) -> AsyncIterator[str]:
        r"""Yield the body's lines as they come, without their ends (``\n``, ``\r\n`` or ``\r``, as in SSE).

        What is not UTF-8 becomes U+FFFD. Raises ``Broken``.
        """
        decoder = io.IncrementalNewlineDecoder(
            codecs.getincrementaldecoder("utf-8")("replace"), translate=True
        )
        pending: list[str] = []
        async with aclosing(self._body.chunks()) as chunks:
            async for chunk in chunks:
                first, *rest = decoder.decode(chunk).split("\n")
                pending.append(first)
                for line in rest:
                    yield "".join(pending)
                    pending = [line]
        if last := "".join([*pending, decoder.decode(b"", final=True)]):
            yield last.removesuffix("\n")
