"""Every operation that is not a paid edit from its start to its end."""

from tests.faults.place import Operations
from tests.faults.transfers import TRANSFERS

ALL: Operations = {**TRANSFERS}
WINDOW_SECONDS = 8.0
"""For how long an unknown call waits for its callback: some restarts."""
