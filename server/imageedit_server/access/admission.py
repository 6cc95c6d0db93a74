"""What every door asks before it serves a call. It is made once, so that two doors share each budget."""

from dataclasses import dataclass

from imageedit_server.access.callers import DEFAULT_TENANT, Callers, current_tenant
from imageedit_server.access.inflight import BytesInFlight
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.access.watches import WatchBudget


@dataclass(frozen=True, kw_only=True, slots=True)
class Admission:
    """Who may call and how often, for all doors together.

    ``callers`` tells callers apart and counts their calls; None where neither is asked for, and everyone who
    gets through is the same tenant. ``watches`` and ``uploads`` count what is open, ``in_flight`` what is in
    memory.
    """

    callers: Callers | None
    watches: WatchBudget
    uploads: UploadPlaces
    in_flight: BytesInFlight

    def tenant(self) -> str:
        """Return whose call is running. Raises ``LookupError`` where no credential was looked at."""
        return current_tenant() if self.callers else DEFAULT_TENANT
