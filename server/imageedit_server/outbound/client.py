"""The client of vendor APIs: one call, one reply, and an honest word when there is none.

    OutboundError
     ├─ NotSent    the vendor cannot have seen the request
     └─ Broken     the vendor may have seen it, and its reply is lost or unusable

Nothing here is ever tried again. What may be is the engine's to decide, and it decides by these two words.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import httpx

from imageedit_server.outbound.answers import MAX_BODY_BYTES, Answer, PaidCall, Place
from imageedit_server.outbound.errors import BadBody, Broken, NotSent, OutboundError
from imageedit_server.outbound.exchange import HEADERS, exchange
from imageedit_server.outbound.limits import Limit
from imageedit_server.outbound.multipart import Form, Part
from imageedit_server.outbound.network import Transport, Trust
from imageedit_server.outbound.paying import take_answer
from imageedit_server.outbound.replies import RawBody, Reply
from imageedit_server.outbound.strict_json import read_json
from imageedit_server.runtime.clock import Clock, SystemClock

__all__ = [
    "MAX_BODY_BYTES",
    "ApiClient",
    "BadBody",
    "Broken",
    "NotSent",
    "OutboundError",
    "Part",
    "Reply",
    "Trust",
    "read_json",
]

KIB = 1024
MIB = 1024 * KIB
RESENT_STATUSES = (307, 308)
URLS_KEPT = 64
"""Parsed, since most calls go to the same few."""


class ApiClient:
    """Calls one vendor API at ``base_url`` with the vendor's ``headers`` on every call.

    Keeps no cookies, reads nothing from the environment, and names itself, since the edge before some
    vendors turns away a library's own name (VENDORS §2). Raises ``ValueError`` for a header that HTTP cannot
    carry, such as a key with a line break. ``clock`` says when answers came.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, trust: Trust, clock: Clock | None = None
    ) -> None:
        _check_headers(headers)
        self._clock = clock or SystemClock()
        self._base_url = base_url.rstrip("/")
        self._headers = httpx.Headers(HEADERS)
        self._headers.update(headers)
        self._headers["Accept-Encoding"] = "identity"
        # A read may use a connection again. A call that may cost money never does: one that the vendor is
        # just closing would leave it unknown whether the call arrived (PROMISES §2).
        self._reads = Transport(trust, keep_alive=True)
        self._writes = Transport(trust)

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        parts: Sequence[Part] | None = None,
        limit_seconds: float,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> Reply:
        """Make one call and return its whole reply, whatever its status.

        ``path`` is joined to the base URL as it is, its trailing slash too. ``limit_seconds`` of wall time
        stand over everything, so no drip evades it (F43). Raises ``NotSent`` or ``Broken``; Broken also for
        a reply that is compressed or larger than ``max_body_bytes`` (F44). A 307 or 308 to the same scheme,
        host and port is followed once with the same method and body; any other 3xx is the reply.
        """
        limit = Limit(limit_seconds)
        transport = self._reads if method == "GET" else self._writes
        response = await _response(transport, self._request(method, path, json, params, parts), limit)
        try:
            body = RawBody(response, limit=limit, max_bytes=max_body_bytes)
            return Reply(response.status_code, dict(response.headers), await body.read())
        finally:
            await response.aclose()

    async def pay(self, call: PaidCall, place: Place | None) -> Answer:
        """Make a paid call, once, and return what came of it, to ``place`` too while it comes.

        Raises ``NotSent`` alone: a reply that is cut, late or too long is an answer like any other. It is
        taken as it comes, compressed too, up to ``max_body_bytes``. A redirect is followed as in ``send``,
        and only the last reply is the answer.
        """
        request = self._request("POST", call.path, call.json, None, call.parts)
        return await take_answer(partial(_response, self._writes, request), call, place, self._clock)

    async def aclose(self) -> None:
        """Close what is open."""
        await self._reads.aclose()
        await self._writes.aclose()

    def _request(
        self,
        method: str,
        path: str,
        json: Any,
        params: Mapping[str, str] | None,
        parts: Sequence[Part] | None,
    ) -> httpx.Request:
        try:
            url = _url(f"{self._base_url}/{path.removeprefix('/')}")
        except (httpx.InvalidURL, ValueError) as error:
            raise NotSent("The URL is not valid.") from error
        if params:
            url = url.copy_merge_params(params)
        if parts is None:
            return httpx.Request(method, url, headers=self._headers, json=json)
        form = Form(parts)
        headers = [(b"Host", url.netloc), *self._headers.raw, *form.raw_headers]
        return httpx.Request(method, url, headers=headers, stream=form)


@lru_cache(URLS_KEPT)
def _url(text: str) -> httpx.URL:
    return httpx.URL(text)


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ValueError(f"the header {name} has characters that HTTP cannot carry")


async def _response(transport: Transport, request: httpx.Request, limit: Limit) -> httpx.Response:
    response = await exchange(transport, request, limit)
    again = _same_place(request, response)
    if again is None:
        return response
    await response.aclose()
    return await exchange(transport, again, limit)


def _same_place(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """Return the request for where a 307 or 308 points, when that is the same vendor still."""
    if response.status_code not in RESENT_STATUSES or "location" not in response.headers:
        return None
    try:
        target = request.url.join(response.headers["location"])
    except (httpx.InvalidURL, ValueError):
        return None
    if target.userinfo or _origin(target) != _origin(request.url):
        return None
    return httpx.Request(request.method, target, headers=request.headers, stream=request.stream)


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port  # httpx leaves a scheme's own port out
