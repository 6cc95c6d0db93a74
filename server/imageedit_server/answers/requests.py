"""Requests of an operator to read the kept answers of a task again, beside a server that does it.

A request is an empty file, ``again/TASK_ID`` in the data dir; whoever carried it out removes it.
"""

from pathlib import Path

from imageedit_server.core.task import TASK_ID

AGAIN_FOLDER = "again"


class Requests:
    """The requests in a data dir."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / AGAIN_FOLDER

    def make(self, task_id: str) -> None:
        """Ask for the answers of a task. Raises ``OSError``."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / task_id).touch(mode=0o600)

    def are_there(self, task_id: str) -> bool:
        """Whether a request waits to be carried out."""
        return (self._folder / task_id).exists()

    def waiting(self) -> list[str]:
        """Return the tasks that are asked for. Blocks, and never raises."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if TASK_ID.fullmatch(path.name))
        except OSError:
            return []

    def done(self, task_id: str) -> None:
        """Take a request away. Raises ``OSError``."""
        (self._folder / task_id).unlink(missing_ok=True)
