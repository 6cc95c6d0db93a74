"""What a commit changed: the noun between the store, who hands it on, and everyone who is told."""

from dataclasses import dataclass

from imageedit_server.core.task import Event, State


@dataclass(frozen=True, slots=True)
class Change:
    """A task has a new event, or its vendor called back (then there is none)."""

    task_id: str
    seq: int
    state: State
    event: Event | None = None
    called_back: bool = False
