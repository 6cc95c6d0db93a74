"""The answers of a data dir as an operator sees them, beside a server or without one: listed, and copied."""

from pathlib import Path

from imageedit_server.answers.files import ANSWERS_FOLDER
from imageedit_server.answers.reading import Stored, stored_in
from imageedit_server.runtime.files import copy_durably, make_durable


class AnswerArchive:
    """The answers of a data dir, which need not have any yet."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / ANSWERS_FOLDER

    def stored(self) -> list[Stored]:
        """Return those that are kept and those that nobody has acted on yet, the oldest call first."""
        if not self._root.is_dir():
            return []
        return sorted(stored_in(self._root), key=lambda each: each.asked.call_time)

    def copy_to(self, data_dir: Path) -> int:
        """Make another data dir have the same, durably; return how many it had not.

        After the database: an answer that is newer than its copy is removed by the start there.
        """
        target = data_dir / ANSWERS_FOLDER
        target.mkdir(mode=0o700, exist_ok=True)
        stored = {each.path.name: each.path for each in self.stored()}
        for older in target.iterdir():
            if older.name not in stored:  # acted on since, or erased
                older.unlink()
        copied = sum(
            copy_durably(path, target / name) for name, path in stored.items() if not (target / name).exists()
        )
        make_durable(target)
        return copied
