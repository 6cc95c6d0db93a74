"""One answer on its way to its file, piece by piece, while the call goes on.

The call must not notice the disk: what cannot be written stays in memory and is tried again, until it holds
or until nobody needs it any more. After a failed fdatasync the kernel may have dropped what it had taken, so
all of it is written once more, to another file.

Failpoints (PROMISES §4): ``answer_head`` (F94: the head is written), ``answer_whole`` (F95: the end too),
``answer_durable`` (F96: all is on the disk).
"""

import asyncio
import errno
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from isal.isal_zlib import crc32

from imageedit_server.answers import disk_calls, layout
from imageedit_server.answers.blanks import Blank
from imageedit_server.answers.masking import Mask
from imageedit_server.answers.thread import AnswerThread
from imageedit_server.outbound.answers import Ended
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.failpoints import failpoint

AT_ONCE_BYTES = 256 * 1024
"""So much of an answer is written on the loop, since it is done before a thread has begun."""
FLUSH_SECONDS = 0.05
"""How long a piece of a large answer may wait for others."""
PAUSES = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds between the tries to make an answer durable; the last is repeated."""

_log = logging.getLogger(__name__)


class Writing:
    """The place of one answer: what ``outbound.answers.Place`` asks for, and what the engine does with it."""

    def __init__(
        self,
        blank: Blank,
        asked: bytes,
        *,
        mask: Mask,
        thread: AnswerThread,
        clock: Clock,
        another: Callable[[Blank], Blank],
        task_id: str = "",
    ) -> None:
        """``another`` exchanges a file for a second try, for itself where there is none; it may block."""
        self.task_id = task_id
        self._blank = blank
        self._mask = mask
        self._thread = thread
        self._clock = clock
        self._another = another
        self._writes: list[tuple[int, bytes]] = [(layout.ASKED_AT, asked)]
        """All that is to be written, each with its position; kept until it is durable."""
        self._written = 1
        """How many of them are, the first by whoever made this."""
        self._waiting_bytes = 0
        self._size_bytes = 0
        self._crc = 0
        self._flush: asyncio.TimerHandle | None = None
        self._jobs = 0
        self._durable = False
        self._has_head = False
        self._ended = False
        self.gone = False
        """Whether nobody needs it any more."""

    @property
    def blank(self) -> Blank:
        """The file; another one after an error of the disk."""
        return self._blank

    @property
    def path(self) -> Path:
        """Where the file is; elsewhere after an error of the disk."""
        return self._blank.path

    @property
    def size_bytes(self) -> int:
        """How many bytes of the body came so far."""
        return self._size_bytes

    @property
    def has_head(self) -> bool:
        """Whether anything came."""
        return self._has_head

    @property
    def has_ended(self) -> bool:
        """Whether it is known how the answer ended."""
        return self._ended

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head, once, and before any piece."""
        self._has_head = True
        self._add(layout.HEAD_AT, layout.head_record(status, self._mask.headers(headers)))
        self._write_now()
        failpoint("answer_head")

    def piece(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._add_body(self._mask.piece(data))
        if self._size_bytes <= AT_ONCE_BYTES:
            self._write_now()
        elif self._waiting_bytes >= AT_ONCE_BYTES:
            self._write_in_thread()
        elif self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self._write_in_thread)

    def end(self, ended: Ended, note: str) -> None:
        """Take how it ended, once. It is on the disk when ``save`` has said so."""
        self._add_body(self._mask.rest())
        now = self._clock.now()
        record = layout.end_record(ended, note, size_bytes=self._size_bytes, crc=self._crc, answer_time=now)
        self._add(layout.END_AT, record)
        self._ended = True
        if self._waiting_bytes <= AT_ONCE_BYTES:
            self._write_now()
        else:
            self._write_in_thread()

    async def save(self) -> None:
        """Return when the answer is durable, or is not needed any more. Never raises."""
        tries = 0
        while not self._durable and not self.gone:
            if not await asyncio.shield(self._begin(self._make_durable)):
                await self._clock.sleep(PAUSES[min(tries, len(PAUSES) - 1)])
                tries += 1

    def let_go(self) -> None:
        """Stop writing: the file is somebody else's business now."""
        self.gone = True
        self._cancel_flush()

    def leave(self) -> None:
        """Write what can be written: the server stops, and the next start reads it. Blocks."""
        if not self._make_durable():
            self._make_durable()  # to another file
        self.gone = True

    # On the loop

    def _add(self, position: int, data: bytes) -> None:
        self._writes.append((position, data))
        self._waiting_bytes += len(data)

    def _add_body(self, data: bytes) -> None:
        if data:
            self._add(layout.BODY_AT + self._size_bytes, data)
            self._size_bytes += len(data)
            self._crc = crc32(data, self._crc)

    def _write_now(self) -> None:
        if self._jobs:  # one file, one writer
            self._write_in_thread()
        else:
            self._cancel_flush()
            self._waiting_bytes = 0
            self._write()

    def _write_in_thread(self) -> None:
        self._begin(self._write)

    def _begin(self, job: Callable[[], bool]) -> asyncio.Future[bool]:
        self._cancel_flush()
        self._waiting_bytes = 0
        self._jobs += 1
        begun = self._thread.begin(job)
        begun.add_done_callback(self._job_ended)
        return begun

    def _job_ended(self, job: asyncio.Future[bool]) -> None:
        self._jobs -= 1

    def _cancel_flush(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    # Wherever there is one writer

    def _make_durable(self) -> bool:
        if self.gone or self._durable:
            return True
        complete = self._ended
        self._durable = self._write() and self._sync() and complete
        if self._durable:
            self._writes, self._written = [], 0  # the file has it all
        return self._durable

    def _write(self) -> bool:
        """Write what is not written; say whether all is."""
        if self.gone:
            return True
        try:
            while self._written < len(self._writes):
                position, data = self._writes[self._written]
                disk_calls.write_at(self._blank.descriptor, data, position)
                self._written += 1
        except OSError as error:
            _log.warning("an answer is held in memory, since it cannot be written: %s", error.strerror)
            return False
        if self._ended:
            failpoint("answer_whole")
        return True

    def _sync(self) -> bool:
        try:
            if not disk_calls.has_name(self._blank.descriptor, self._blank.path):
                raise FileNotFoundError(errno.ENOENT, "its file has no name any more")
            disk_calls.sync_data(self._blank.descriptor)
        except OSError as error:
            _log.warning("an answer is held in memory, since it is not durable: %s", error.strerror)
            self._start_over()
            return False
        failpoint("answer_durable")
        return True

    def _start_over(self) -> None:
        """Write all of it again, to another file where there is one: what a failed fsync left is unknown."""
        self._written = 0
        self._blank = self._another(self._blank)
