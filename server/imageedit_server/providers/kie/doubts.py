"""Second thoughts: an answer that would end a task is believed only when it keeps coming (F47, F49)."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from imageedit_server.runtime.clock import Clock

MAX_TASKS = 10_000
GOOD = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How often in a row, and for how long, an answer must have come before it is believed."""

    times: int
    seconds: float = 0.0


class Doubts:
    """Remembers, by vendor task id, that a good answer came, or for how long the same bad one has.

    Only in memory: after a restart a task gets the whole patience again, which costs time and no money. The
    oldest are forgotten first when there are too many, with the same effect.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[str, int, datetime]] = OrderedDict()

    def dispel(self, vendor_task_id: str) -> None:
        """Note that a good answer came."""
        self._note(vendor_task_id, GOOD, 0, self._clock.now())

    def knows(self, vendor_task_id: str) -> bool:
        """Whether any answer was noted, that is, whether the vendor has known the task."""
        return vendor_task_id in self._seen

    def believe(self, vendor_task_id: str, answer: str, patience: Patience) -> bool:
        """Note that ``answer`` came, and say whether the patience with it is at its end."""
        now = self._clock.now()
        before, times, since = self._seen.pop(vendor_task_id, (answer, 0, now))
        if before != answer:
            times, since = 0, now
        if times + 1 >= patience.times and (now - since).total_seconds() >= patience.seconds:
            return True
        self._note(vendor_task_id, answer, times + 1, since)
        return False

    def forget(self, vendor_task_id: str) -> None:
        """Drop what is known of a task that came to its end."""
        self._seen.pop(vendor_task_id, None)

    def _note(self, vendor_task_id: str, answer: str, times: int, since: datetime) -> None:
        self._seen[vendor_task_id] = (answer, times, since)
        self._seen.move_to_end(vendor_task_id)
        if len(self._seen) > MAX_TASKS:
            self._seen.popitem(last=False)
