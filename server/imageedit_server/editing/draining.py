"""What is refused once the server was asked to stop: whatever would begin now and end elsewhere (P24)."""

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.store.database import Database

RETRY_SECONDS = 1.0


def check_open(database: Database) -> None:
    """Raise DRAINING when the server stops; what has begun already may go on."""
    if database.feed.closed:
        raise Refusal(
            Reason.DRAINING, "The server is stopping; try again soon.", retry_after_seconds=RETRY_SECONDS
        )
