"""The guarded fetch: the one way to follow a URL that somebody else gave (PROMISES P17, §3).

Per hop: the static rule, one resolution, the address rule over every answer, then a connection to the very
addresses that were judged, with SNI, certificate and Host for the name. Nothing that is ours goes along: no
credentials, no cookies, no proxy, no connection of an earlier fetch.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import httpx

from imageedit_server.outbound.addresses import is_denied, parse_allow, refuse_url
from imageedit_server.outbound.errors import NameUnresolved, OutboundError, Unacceptable
from imageedit_server.outbound.exchange import HEADERS, exchange
from imageedit_server.outbound.limits import Limit
from imageedit_server.outbound.network import Transport, Trust
from imageedit_server.outbound.replies import RawBody
from imageedit_server.outbound.unpacking import unpacked
from imageedit_server.outbound.urls import as_https, host_of, parse_url, place_of

MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)


class UrlRefused(Exception):
    """The rule forbids the URL, or one that it redirects to. The message is a sentence without the URL."""


class FetchFailed(Exception):
    """The URL is allowed and brought nothing.

    ``status`` is what it answered, None when it did not; ``final`` says that trying again would not help: too
    large, compressed in a way that cannot be undone, too many redirects; ``tried_as_https`` that the URL is
    http, and that its host did not answer over https. The message is a sentence without the URL.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        final: bool = False,
        tried_as_https: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.final = final
        self.tried_as_https = tried_as_https


class Fetched:
    """A body that comes."""

    def __init__(self, response: httpx.Response, *, limit: Limit, max_bytes: int) -> None:
        self._body = RawBody(response, limit=limit, max_bytes=max_bytes, may_be_coded=True)
        self._headers = dict(response.headers)
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body, once, in pieces of at most 256 KiB. Raises ``FetchFailed``.

        What came in gzip or deflate is inflated, and counted inflated. A body shorter than its Content-Length
        fails. One without a Content-Length that the connection's end cuts short looks whole here: the caller
        must decode all of it before believing it.
        """
        async with (
            aclosing(self._body.chunks()) as raw,
            aclosing(unpacked(raw, self._headers, self._max_bytes)) as content,
        ):
            try:
                async for chunk in content:
                    yield chunk
            except OutboundError as error:
                final = isinstance(error, Unacceptable)
                raise FetchFailed(f"The URL's content could not be fetched. {error}", final=final) from error


class GuardedFetch:
    """Fetches URLs. ``allow`` is ``fetch.allow``: the places exempt from https and from the address rule.

    With ``http_as_https`` an http URL, and one that is redirected to, is tried as https before it is judged,
    as by the rest of the rule as any other; without it, it is refused.
    """

    def __init__(
        self, allow: Collection[str] = (), *, http_as_https: bool = False, trust: Trust | None = None
    ) -> None:
        self._allow = parse_allow(allow)
        self._http_as_https = http_as_https
        self._trust = trust or Trust()

    @asynccontextmanager
    async def open(self, url: str, *, max_bytes: int, limit_seconds: float) -> AsyncIterator[Fetched]:
        """Follow ``url`` to its content: status 200.

        ``limit_seconds`` of wall time stand over everything up to the last chunk, ``max_bytes`` over the
        body, as it comes and inflated. Raises ``UrlRefused`` and ``FetchFailed``.
        """
        limit = Limit(limit_seconds)
        for hop in range(MAX_REDIRECTS + 1):
            async with self._get(url, hop, limit) as response:
                location = location_of(url, response)
                if location is None:
                    _check_status(response)
                    yield Fetched(response, limit=limit, max_bytes=max_bytes)
                    return
                url = location
        raise FetchFailed(f"The URL redirects more than {MAX_REDIRECTS} times.", final=True)

    @asynccontextmanager
    async def _get(self, text: str, hop: int, limit: Limit) -> AsyncIterator[httpx.Response]:
        asked = self._upgraded(text)
        subject = "The URL redirects to one that" if hop else "The URL"
        if asked != text:
            subject = f"{subject}, tried as https instead of http,"
        if reason := refuse_url(asked, self._allow):
            raise UrlRefused(f"{subject} {reason}.")
        url = _named(httpx.URL(asked))
        with _telling_of_https(asked != text):
            addresses = await self._judged(url, subject, limit)
        transport = Transport(self._trust, addresses=addresses)
        try:
            with _telling_of_https(asked != text):
                response = await _sent(transport, httpx.Request("GET", url, headers=HEADERS), limit)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await transport.aclose()

    def _upgraded(self, text: str) -> str:
        """Return what is asked for in place of an http URL; any other as it is."""
        url = parse_url(text)
        if not self._http_as_https or url is None or url.scheme != "http" or place_of(url) in self._allow:
            return text
        return str(as_https(url))

    async def _judged(self, url: httpx.URL, subject: str, limit: Limit) -> tuple[str, ...]:
        """Resolve once; every answer must pass, since the name's owner chose them all."""
        try:
            async with limit:
                addresses = await self._trust.network.resolve(host_of(url))
        except (NameUnresolved, TimeoutError) as error:
            raise FetchFailed("The URL's host has no address.") from error
        if place_of(url) not in self._allow and any(map(self._is_denied, addresses)):
            raise UrlRefused(f"{subject} leads to an address that is not public.")
        return addresses

    def _is_denied(self, address: str) -> bool:
        """By the rule, or as one of this machine's own, wherever we listen: no fetch leads back to us."""
        return is_denied(address) or self._trust.network.is_own(address)


@contextmanager
def _telling_of_https(is_upgraded: bool) -> Iterator[None]:
    """Say of what fails that it was tried as https, if it was."""
    try:
        yield
    except FetchFailed as failed:
        if not is_upgraded:
            raise
        raise FetchFailed(f"{failed} It was tried as https instead of http.", tried_as_https=True) from failed


def _named(url: httpx.URL) -> httpx.URL:
    """Drop the dot of the root, which certificates do not have, and the fragment."""
    return url.copy_with(host=host_of(url), fragment=None)


async def _sent(transport: Transport, request: httpx.Request, limit: Limit) -> httpx.Response:
    try:
        return await exchange(transport, request, limit)
    except OutboundError as error:
        raise FetchFailed(f"The URL could not be fetched. {error}") from error


def location_of(url: str, response: httpx.Response) -> str | None:
    """Return where a response redirects to, None where it does not or not to a URL."""
    if response.status_code not in REDIRECTS or "location" not in response.headers:
        return None
    location = response.headers["location"]
    target = parse_url(location)
    if target is None or target.scheme:  # what is not relative is judged as it was written
        return location
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, ValueError):
        return location


def _check_status(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        raise FetchFailed(f"The URL answered {response.status_code}.", response.status_code)
