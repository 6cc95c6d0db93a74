"""The newest events of a followed task, which its followers share instead of each reading the log."""

from collections.abc import Sequence

from imageedit_server.core.task import Event

KEPT_EVENTS = 128
"""How many events of a followed task are kept at most; whoever is further behind reads the log."""


class Tail:
    """The newest events of a task, without a gap; nothing while they are not known up to the newest hint."""

    __slots__ = ("_events", "_hinted")

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._hinted = 0

    def after(self, seq: int) -> Sequence[Event] | None:
        """Return every event after ``seq``; None when only the log has them all."""
        if not self._events or self._events[0].seq > seq + 1 or self._events[-1].seq < self._hinted:
            return None
        return self._events[seq + 1 - self._events[0].seq :]

    def take(self, events: Sequence[Event]) -> None:
        """Take some that follow one another, up to the end of the log as it was while somebody followed."""
        if not events:
            return
        older = [event for event in self._events if event.seq < events[0].seq]
        newer = [event for event in self._events if event.seq > events[-1].seq]
        if older and older[-1].seq + 1 != events[0].seq:
            older = []
        if not newer or newer[0].seq == events[-1].seq + 1:
            self._events = [*older, *events, *newer][-KEPT_EVENTS:]

    def void_before(self, seq: int) -> None:
        """Know nothing until ``seq`` is taken: it is in the log, and was told without its event.

        That is remembered, not only thrown away: who was reading the log just then takes events that end
        before ``seq``, and they must not pass for the newest.
        """
        self._hinted = max(self._hinted, seq)
