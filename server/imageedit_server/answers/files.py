"""The folder of the answers: places for those that come, those that a start finds, and those that are kept.

    <root>/<random>                     a blank, an answer that comes, or one that nobody has acted on yet
    <root>/<random>.<version>.kept      one that this version could not read

Failpoint (PROMISES §4): ``answer_reserved`` (F93: the place is there, nothing was asked).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from imageedit_server.answers import disk_calls, kept, layout
from imageedit_server.answers.blanks import Blank, Blanks
from imageedit_server.answers.layout import Asked
from imageedit_server.answers.masking import Mask
from imageedit_server.answers.reading import Stored, asked_in, read_file, stored_at, stored_in
from imageedit_server.answers.room import NoPlace, Room
from imageedit_server.answers.thread import AnswerThread
from imageedit_server.answers.writing import Writing
from imageedit_server.outbound.answers import Answer
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.failpoints import failpoint

ANSWERS_FOLDER = "answers"
REMOVE_SECONDS = 0.25
"""How long finished files may wait for others, to be removed with them."""

_log = logging.getLogger(__name__)


class Answers:
    """The answers under ``root``, read by ``version`` of the server. Open it before use, and close it."""

    def __init__(self, root: Path, clock: Clock, *, min_free_bytes: int, version: str) -> None:
        self._root = root
        self._clock = clock
        self.version = version
        self._thread = AnswerThread()
        self._blanks = Blanks(root, Room(min_free_bytes))
        self.left_out: list[Path] = []
        """What is there, and could not be read when an answer was wanted."""
        self._closed = False
        self._making: asyncio.Future[int] | None = None
        self._places: set[Writing] = set()
        """Those whose files are open."""
        self._removals: list[Callable[[], None]] = []
        self._removing: asyncio.TimerHandle | None = None

    async def open(self) -> list[Stored]:
        """Make what is needed, and return what an earlier run left, the oldest call first.

        Files that hold nothing, since no head came, are removed, and those that the disk does not give back
        are in ``left_out``. Raises ``OSError`` where the folder cannot be read. Without a folder no place can
        be had, and no paid call is made.
        """
        found = await self._thread.run(self._look)
        await self._thread.run(self._blanks.make)
        return found

    async def reserve(self, asked: Asked, expected_bytes: int, secrets: Iterable[str] = ()) -> Writing:
        """Return a place for an answer of about ``expected_bytes``, in which ``secrets`` are masked.

        Raises ``NoPlace`` where there is none, and ``layout.TooLong`` for a brief that does not fit. Whoever
        gets a place gives it to ``forget`` or ``keep``, or leaves it to the next start.
        """
        record, size_bytes = layout.asked_record(asked), layout.BODY_AT + expected_bytes
        blank = await self._blank()
        try:
            if blank.taken.size_bytes < size_bytes:
                blank = await self._thread.run(self._blanks.with_room, blank, size_bytes)
            disk_calls.write_at(blank.descriptor, record, layout.ASKED_AT)
        except OSError as error:
            self._remove_soon(partial(self._blanks.remove, blank))
            raise NoPlace(f"No file for an answer can be written: {error.strerror}.") from error
        except NoPlace:
            self._remove_soon(partial(self._blanks.remove, blank))
            raise
        failpoint("answer_reserved")
        return self._place(blank, asked, record, Mask(secrets))

    def forget(self, place: Writing) -> None:
        """Remove an answer that was acted on, soon."""
        self._let_go(place)
        self._remove_soon(partial(self._remove, place))

    def drop(self, path: Path) -> None:
        """Remove an answer that a start found, soon."""
        self._remove_soon(partial(path.unlink, missing_ok=True))

    async def look_at(self, path: Path) -> Stored | None:
        """Return the answer that a file holds, None for none. Raises ``OSError``."""
        return await self._thread.run(stored_at, path)

    async def read(self, path: Path) -> Answer | None:
        """Return what a file holds, None for nothing. Raises ``OSError``."""
        return await self._thread.run(read_file, path)

    async def keep(self, path: Path) -> tuple[Path, list[Asked]]:
        """Keep an answer that this version could not read; return where, and which went for its sake.

        Raises ``OSError``: then the next start finds it, as one that nobody has read yet or as a kept one.
        """
        return await self._thread.run(self._keep, path)

    async def keep_place(self, place: Writing) -> tuple[Path, list[Asked]]:
        """Keep, as ``keep`` does, an answer that has just come, once it is durable."""
        await place.save()
        self._let_go(place)
        try:
            return await self.keep(place.path)
        finally:
            self._remove_soon(lambda: self._blanks.close(place.blank))

    async def stored(self) -> list[Stored]:
        """Return what there is. Raises ``OSError``."""
        return await self._thread.run(lambda: list(stored_in(self._root)))

    async def erase(self, task_id: str) -> None:
        """Remove the answers to every call of a task, durably, also of one that still comes.

        Raises ``OSError``.
        """
        for place in [place for place in self._places if place.task_id == task_id]:
            self._let_go(place)
            await self._thread.run(partial(self._remove, place))
        await self._thread.run(self._erase, task_id)

    async def aclose(self) -> None:
        """Do what is still to be done, and let go of all files; at a second time there is nothing to do."""
        if self._closed:
            return
        self._closed = True
        if self._removing is not None:
            self._removing.cancel()
        self._begin_removing()
        for place in self._places:  # of calls that did not end, and of answers for the next start
            self._thread.begin(self._leave, place)
        await self._thread.run(self._blanks.discard)
        await self._thread.aclose()

    def _let_go(self, place: Writing) -> None:
        place.let_go()
        self._places.discard(place)

    async def _blank(self) -> Blank:
        while True:  # others may have taken all that were made
            if self._blanks.are_few and (self._making is None or self._making.done()):
                self._making = self._thread.begin(self._blanks.make)
            if (blank := self._blanks.take()) or self._making is None:
                break
            made = await asyncio.shield(self._making)
            if (blank := self._blanks.take()) or not made:
                break
        if blank is None:
            raise NoPlace("No file for an answer can be made.")
        return blank

    def _place(self, blank: Blank, asked: Asked, record: bytes, mask: Mask) -> Writing:
        place = Writing(
            blank,
            record,
            mask=mask,
            thread=self._thread,
            clock=self._clock,
            another=self._another,
            task_id=asked.task_id,
        )
        self._places.add(place)
        return place

    def _remove_soon(self, removal: Callable[[], None]) -> None:
        self._removals.append(removal)
        if self._removing is None:
            self._removing = asyncio.get_running_loop().call_later(REMOVE_SECONDS, self._begin_removing)

    def _begin_removing(self) -> None:
        self._removing = None
        removals, self._removals = self._removals, []
        self._thread.begin(_do_all, removals)

    # In the thread

    def _look(self) -> list[Stored]:
        try:
            disk_calls.make_folder(self._root)
            disk_calls.sync_folder(self._root.parent)  # a crash may have come before that of ``make_folder``
        except OSError as error:  # what is in it counts all the same
            _log.warning("the folder of the answers is not known to be durable: %s", error.strerror)
        self.left_out.clear()
        found = stored_in(self._root, clean=True, left_out=self.left_out.append)
        return sorted(found, key=lambda each: each.asked.call_time)

    def _another(self, broken: Blank) -> Blank:
        if self._blanks.are_few:
            self._blanks.make()
        another = self._blanks.take()
        if another is None:
            return broken
        self._blanks.remove(broken)
        return another

    def _erase(self, task_id: str) -> None:
        for found in stored_in(self._root):
            if found.asked.task_id == task_id:
                found.path.unlink(missing_ok=True)
        disk_calls.sync_folder(self._root)

    def _remove(self, place: Writing) -> None:
        self._blanks.remove(place.blank)

    def _leave(self, place: Writing) -> None:
        place.leave()
        self._blanks.close(place.blank)

    def _keep(self, path: Path) -> tuple[Path, list[Asked]]:
        kept_as = kept.keep(path, self.version)
        gone = []
        for old in kept.over_budget(self._root):
            asked = asked_in(old)
            _log.warning("a kept answer is removed, since all of them take too much room: %s", asked)
            old.unlink(missing_ok=True)
            gone += [asked] if asked else []
        return kept_as, gone


def _do_all(removals: list[Callable[[], None]]) -> None:
    for removal in removals:
        try:
            removal()
        except OSError as error:
            _log.warning("a file of the answers is removed at the next start: %s", error.strerror)
