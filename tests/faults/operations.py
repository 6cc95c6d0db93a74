"""Every operation that is not a paid edit from its start to its end."""

from tests.faults.copies import COPIES
from tests.faults.lives import LIVES
from tests.faults.place import Operations
from tests.faults.transfers import TRANSFERS

ALL: Operations = {**TRANSFERS, **LIVES, **COPIES}
WINDOW_SECONDS = 8.0
"""For how long an unknown call waits for its callback: some restarts."""
