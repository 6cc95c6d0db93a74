"""The client of vendor APIs: one call, one reply, and an honest word when there is none.

    OutboundError
     ├─ NotSent    the vendor cannot have seen the request
     └─ Broken     the vendor may have seen it, and its reply is lost or unusable

Nothing here is ever tried again. What may be is the engine's to decide, and it decides by these two words.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from imageedit_server.outbound.errors import BadBody, Broken, NotSent, OutboundError
from imageedit_server.outbound.exchange import HEADERS, exchange
from imageedit_server.outbound.multipart import Form, Part
from imageedit_server.outbound.network import Transport, Trust
from imageedit_server.outbound.replies import Reply, StreamReply
from imageedit_server.outbound.strict_json import read_json

__all__ = [
    "MAX_BODY_BYTES",
    "ApiClient",
    "BadBody",
    "Broken",
    "NotSent",
    "OutboundError",
    "Part",
    "Reply",
    "StreamReply",
    "Trust",
    "read_json",
]

KIB = 1024
MIB = 1024 * KIB
MAX_BODY_BYTES = MIB
RESENT_STATUSES = (307, 308)


class ApiClient:
    """Calls one vendor API at ``base_url`` with the vendor's ``headers`` on every call.

    Keeps no cookies, reads nothing from the environment, and names itself, since the edge before some
    vendors turns away a library's own name (VENDORS §2). Raises ``ValueError`` for a header that HTTP cannot
    carry, such as a key with a line break.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, trust: Trust) -> None:
        _check_headers(headers)
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
        async with self.stream(
            method,
            path,
            json=json,
            params=params,
            parts=parts,
            limit_seconds=limit_seconds,
            max_body_bytes=max_body_bytes,
        ) as reply:
            return Reply(reply.status, reply.headers, await reply.read())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        parts: Sequence[Part] | None = None,
        limit_seconds: float,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> AsyncIterator[StreamReply]:
        """Make one call and give its reply while it still comes: as ``send`` in all else.

        Reading the reply raises ``Broken``, at the limit too. What the caller does between the reads counts
        towards the limit but is never interrupted.
        """
        deadline = asyncio.get_running_loop().time() + limit_seconds
        transport = self._reads if method == "GET" else self._writes
        request = self._request(method, path, json, params, parts)
        response = await _response(transport, request, deadline)
        try:
            yield StreamReply(response, deadline=deadline, max_bytes=max_body_bytes)
        finally:
            await response.aclose()

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
            url = httpx.URL(f"{self._base_url}/{path.removeprefix('/')}")
        except (httpx.InvalidURL, ValueError) as error:
            raise NotSent("The URL is not valid.") from error
        if params:
            url = url.copy_merge_params(params)
        if parts is None:
            return httpx.Request(method, url, headers=self._headers, json=json)
        form = Form(parts)
        request = httpx.Request(method, url, headers=self._headers, content=form)
        request.headers.update(form.headers)
        del request.headers["Transfer-Encoding"]  # which httpx sets for a body of pieces; its length is known
        return request


def _check_headers(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ValueError(f"the header {name} has characters that HTTP cannot carry")


async def _response(transport: Transport, request: httpx.Request, deadline: float) -> httpx.Response:
    response = await exchange(transport, request, deadline)
    again = _same_place(request, response)
    if again is None:
        return response
    await response.aclose()
    return await exchange(transport, again, deadline)


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
