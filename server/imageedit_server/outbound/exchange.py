"""One request over a transport, and what it proves when no reply comes."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import httpx

from imageedit_server.outbound.errors import Late, NotSent, outbound_error
from imageedit_server.outbound.limits import Limit
from imageedit_server.outbound.network import CONNECT_SECONDS, Transport

USER_AGENT = f"imageedit/{version('imageedit')}"
HEADERS = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}


async def exchange(transport: Transport, request: httpx.Request, limit: Limit) -> httpx.Response:
    """Send ``request`` and return its reply, of which only the head was read; the caller closes it.

    Raises ``NotSent`` or ``Broken``: what each error means is in ``MEANINGS``, but whatever the error, also
    at ``limit``, it is NotSent if not a byte of the request can have left.
    """
    progress = _Progress()
    request.extensions = {"timeout": {"connect": CONNECT_SECONDS}, "trace": progress}
    try:
        async with limit:
            return await transport.handle_async_request(request)
    except TimeoutError:
        if progress.sending:
            raise Late("The reply did not come in time.") from None
        raise NotSent("No connection could be made in time.") from None
    except Exception as error:
        found = outbound_error(error)
        raise (found if progress.sending else NotSent(str(found))) from error


class _Progress:
    """httpcore's trace of one request: whether its first byte may have left."""

    sending = False

    async def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        self.sending = self.sending or event.endswith("send_request_headers.started")
