"""Answers that were not acted on yet, by their attempts: those of this run, and those that an earlier left.

An answer leaves with the fact that says what became of it: it is forgotten when its outcome is known or its
pictures are home, and kept when nobody could read it. Until then its file is the fact "answered".
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from pathlib import Path

from imageedit_server.answers.files import Answers
from imageedit_server.answers.layout import Asked
from imageedit_server.answers.reading import Stored
from imageedit_server.answers.writing import Writing
from imageedit_server.core.answer import AnswerHead
from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended
from imageedit_server.store.answers import answer_is_gone
from imageedit_server.store.attempts import AttemptKey
from imageedit_server.store.database import Database

_log = logging.getLogger(__name__)


class Answered:
    """Knows which files belong to which attempt."""

    def __init__(self, answers: Answers, database: Database) -> None:
        self._answers = answers
        self._database = database
        self._files: defaultdict[AttemptKey, list[Writing | Path]] = defaultdict(list)
        self._saving: set[asyncio.Task[None]] = set()
        self._not_given_back: set[AttemptKey] = set()
        """Whose answers the disk did not give back when they were last read."""

    @property
    def version(self) -> str:
        """Which version tries to read them."""
        return self._answers.version

    async def open(self) -> list[Stored]:
        """Return what an earlier run left; each is to be given to ``found``, ``drop`` or ``keep_file``.

        What the disk does not give back is in ``left_out``. Raises ``OSError`` for the folder.
        """
        return await self._answers.open()

    @property
    def left_out(self) -> list[Path]:
        """Files that could not be read when their answers were wanted: each may have been paid for."""
        return self._answers.left_out

    async def look_again(self, path: Path) -> Stored | None:
        """Return an answer that was left out and can be read now, None for none. Raises ``OSError``."""
        stored = await self._answers.look_at(path)
        await self.read_file(path)
        self.left_out.remove(path)
        return stored

    async def kept_for(self, task_id: str) -> list[Stored]:
        """Return the answers that are kept for a task. Raises ``OSError``."""
        return [each for each in await self._answers.stored() if each.tried and each.asked.task_id == task_id]

    async def reserve(self, asked: Asked, expected_bytes: int, secrets: Iterable[str]) -> Writing:
        """Return a place for the answer to a call that is about to be made. Raises ``NoPlace``."""
        place = await self._answers.reserve(asked, expected_bytes, secrets)
        self._files[AttemptKey(asked.task_id, asked.attempt)].append(place)
        return place

    def save(self, place: Writing) -> asyncio.Task[None]:
        """Begin to make an answer durable; goes on until it is, or is not needed any more."""
        saving = asyncio.create_task(place.save(), name="answer")
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return saving

    def unused(self, key: AttemptKey, place: Writing) -> None:
        """The call was not made after all."""
        self._files[key].remove(place)
        if not self._files[key]:
            del self._files[key]
        self._answers.forget(place)

    def calls(self, key: AttemptKey) -> int:
        """Return how many calls of an attempt have a place for their answer."""
        return len(self._files.get(key, ()))

    def found(self, key: AttemptKey, path: Path) -> None:
        """Take an answer that an earlier run left."""
        self._files[key].append(path)

    def drop(self, path: Path) -> None:
        """Remove an answer that nobody needs."""
        self._answers.drop(path)

    def is_unread(self, key: AttemptKey) -> bool:
        """Whether an answer came that was not acted on."""
        return any(map(_is_there, self._files.get(key, ())))

    async def read(self, key: AttemptKey) -> list[Answer]:
        """Return every answer that came to the attempt's calls, the first call first. Raises ``OSError``.

        Those that were erased meanwhile are left out.
        """
        self._not_given_back.add(key)
        found = [await self._read(file) for file in self._files.get(key, ()) if _is_there(file)]
        self._not_given_back.discard(key)
        return [answer for answer in found if answer is not None]

    async def read_file(self, path: Path) -> Answer | None:
        """Return one answer; None for one that was erased meanwhile. Raises ``OSError``."""
        with suppress(FileNotFoundError):
            return await self._answers.read(path)
        return None

    async def _read(self, file: Writing | Path) -> Answer | None:
        return await self.read_file(file if isinstance(file, Path) else await _saved(file))

    def acted_on(self, key: AttemptKey) -> None:
        """Remove the answers of an attempt: what they said is stored, and what they brought is home."""
        self._not_given_back.discard(key)
        for file in self._files.pop(key, ()):
            if isinstance(file, Path):
                self._answers.drop(file)
            else:
                self._answers.forget(file)

    async def keep(self, key: AttemptKey) -> None:
        """Keep the answers of an attempt, which nobody could read. Never raises.

        Where it was the disk that could not, no version has tried: they are left out, and tried again.
        """
        files = self._files.pop(key, ())
        if key in self._not_given_back:
            self._not_given_back.discard(key)
            self.left_out.extend(file for file in files if isinstance(file, Path))
            files = [file for file in files if not isinstance(file, Path)]
        for file in files:
            await (self.keep_file(file) if isinstance(file, Path) else self._keep_place(file))

    async def keep_file(self, path: Path) -> None:
        """Keep an answer that an earlier run left. Never raises."""
        await self._keep(self._answers.keep(path))

    async def _keep_place(self, place: Writing) -> None:
        if not place.has_head:
            self._answers.forget(place)
            return
        if not place.has_ended:
            place.end(Ended.LOST, "The call broke off.")
        await self._keep(self._answers.keep_place(place))

    async def _keep(self, keeping: Awaitable[tuple[Path, list[Asked]]]) -> None:
        try:
            _, gone = await keeping
        except OSError as error:
            _log.warning("an answer cannot be kept before the next start: %s", error.strerror)
            return
        for asked in gone:
            await self._database.record(answer_is_gone, AttemptKey(asked.task_id, asked.attempt))


async def _saved(place: Writing) -> Path:
    await place.save()
    return place.path


def _is_there(file: Writing | Path) -> bool:
    return isinstance(file, Path) or (file.has_head and file.has_ended)


def head_of(answer: Answer, *, kept: bool = False) -> AnswerHead | None:
    """Return what stays of an answer with its attempt; None where no head came."""
    if answer.status == NO_HEAD:
        return None
    return AnswerHead(
        status=answer.status,
        media_type=answer.headers.get("content-type", "").partition(";")[0].strip().lower(),
        size_bytes=len(answer.body),
        time=answer.answer_time,
        kept=kept,
    )
