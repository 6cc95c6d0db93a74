"""What a commit changed: the noun between the store, who hands it on, and everyone who is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from imageedit_server.core.task import Event, State


@dataclass(frozen=True, slots=True)
class Change:
    """A task has a new event, or its vendor called back, or another process says that it changed.

    ``seq`` is that of the task's last event. ``event`` is None where nothing was added to the log, or where
    who tells of it does not have it.
    """

    task_id: str
    seq: int
    state: State
    event: Event | None = None
    called_back: bool = False


class Publisher(Protocol):
    """To whom the store hands what it changes. Called on the loop; must neither block nor raise."""

    def announce(self, changes: Sequence[Change]) -> bool:
        """Hear of changes that are about to be committed, which may yet fail.

        Says whether they lead to more that may go along: units that are asked for in the loop's next turn.
        """
        ...

    def publish(self, changes: Sequence[Change]) -> None:
        """Hear of changes in the order in which they were committed, once each can be read."""
        ...


class Unheard:
    """Implements ``Publisher`` for a store that nobody listens to, such as one that is only looked into."""

    def announce(self, changes: Sequence[Change]) -> bool:
        """Lead to nothing."""
        return False

    def publish(self, changes: Sequence[Change]) -> None:
        """Tell nobody."""
