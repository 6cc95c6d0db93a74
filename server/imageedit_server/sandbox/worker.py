"""The server's end of one worker process: its jobs go out, its answers come in."""

import asyncio
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any

from imageedit_server.sandbox.fork_server import ForkServer
from imageedit_server.sandbox.jobs import Packed
from imageedit_server.sandbox.limits import KIB, Allowance, allow_from_outside, let_rest
from imageedit_server.sandbox.results import BadAnswer, lengths_of, read_answer
from imageedit_server.sandbox.worker_process import HEADER

_LEAST_BYTES, _MOST_BYTES = 4 * KIB, 256 * KIB


class Unsent(Exception):
    """A job did not reach its worker, which has seen nothing of it."""


class Worker:
    """One worker process, with one call at a time; from its first on all are of one ``owner``.

    It has imported ``modules``, and can import no more.
    """

    def __init__(
        self, fork_server: ForkServer, pid: int, jobs: socket.socket, modules: Collection[str]
    ) -> None:
        self.fork_server = fork_server
        self.owner = ""
        self.jobs = 0
        self._modules = modules
        self._pid = pid
        self._socket = jobs

    def lives(self) -> bool:
        """Say whether it can take a job: it waits, and what forked it may still be forked from."""
        if self.fork_server.retired:
            return False
        with suppress(ConnectionResetError):
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return True
        return False  # it is gone, or says something unasked

    def has(self, module: str) -> bool:
        """Say whether it can do jobs of a module."""
        return module in self._modules

    async def call(
        self, job: Packed, function: Callable[..., Any], allowance: Allowance
    ) -> tuple[Any, Exception | None]:
        """Return the result of ``job``, or its error.

        Raises ``Unsent``, ``TimeoutError``, ``OSError``, ``EOFError`` and ``BadAnswer``; then, and when
        cancelled, the worker is of no more use.
        """
        self.jobs += 1
        answer = bytearray()
        async with asyncio.timeout(allowance.wall_seconds):
            allow_from_outside(self._pid, allowance)
            await self._send(job)
            await self._receive(answer, HEADER.size)
            words, content = lengths_of(answer, allowance.content_bytes)
            await self._receive(answer, HEADER.size + words + content)
            with suppress(ProcessLookupError):  # it has answered all the same
                let_rest(self._pid)
        if len(answer) > HEADER.size + words + content:
            raise BadAnswer("A worker said more than it announced.")
        parts = memoryview(answer)[HEADER.size :]
        return read_answer(function, parts[:words], parts[words:])

    async def _send(self, job: Packed) -> None:
        """Send a job; the files go with its first bytes, for which an idle worker has room."""
        first, *contents = [memoryview(piece) for piece in job.pieces]
        try:
            sent = socket.send_fds(self._socket, [first], job.descriptors)
            for piece in (first[sent:], *contents):
                if piece:
                    await asyncio.get_running_loop().sock_sendall(self._socket, piece)
        except TimeoutError:
            raise
        except OSError as error:
            raise Unsent from error

    async def _receive(self, data: bytearray, count: int) -> None:
        """Add to ``data`` until it has ``count`` bytes. Most answers come in one piece."""
        loop = asyncio.get_running_loop()
        while (missing := count - len(data)) > 0:
            piece = await loop.sock_recv(self._socket, min(max(missing, _LEAST_BYTES), _MOST_BYTES))
            if not piece:
                raise EOFError
            data += piece

    def end(self) -> int:
        """Kill the process, unless it is dead; return how it ended. For the pool's thread."""
        return self.fork_server.end(self._pid)

    def close(self) -> None:
        """Let go of the process."""
        self._socket.close()
