"""Whether a vendor takes the configured credential, asked without paying anything."""

from imageedit_server.outbound.client import ApiClient, OutboundError
from imageedit_server.providers.base import AccountRefused

READ_SECONDS = 10.0
REFUSED = (401, 403)
TAKEN = (200, 404)


async def ask_account(client: ApiClient, path: str) -> str:
    """Read something free that needs the credential; return a sentence. Raises ``AccountRefused``."""
    try:
        reply = await client.send("GET", path, limit_seconds=READ_SECONDS)
    except OutboundError as error:
        raise AccountRefused(f"The provider could not be asked. {error}") from error
    if reply.status in REFUSED:
        raise AccountRefused(f"The provider refuses the credential: it answered {reply.status}.")
    if reply.status in TAKEN:
        return "The provider takes the credential."
    return f"The provider answered {reply.status}, which says nothing of the credential."
