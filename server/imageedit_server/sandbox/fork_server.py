"""The server's hold on its worker processes: start them, end them, learn how they ended. All of it blocks."""

import json
import os
import signal
import socket
import sys
from collections.abc import Collection, Sequence
from subprocess import Popen

from imageedit_server.runtime.workers import WorkersBroken
from imageedit_server.sandbox.limits import MIB
from imageedit_server.sandbox.worker_process import END, FORK

BOOT = "from imageedit_server.sandbox.worker_process import serve; serve()"
"""What a fork server runs."""
_ANSWERS_WITHIN_SECONDS = 30.0
_MOST_ANSWER_BYTES = 100
# What glibc would otherwise keep after a large picture (measured: 728 MB of 919), or reserve per thread.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(MIB), "MALLOC_ARENA_MAX": "1"}
_INHERITED = ("PATH", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONHOME")


class ForkServer:
    """The process that workers are forked from (``worker_process``).

    A fresh interpreter without the server's secrets, locks and main module. To be used by one thread, and it
    lives as long as that does. ``retired`` says that its workers take no new jobs.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_ANSWERS_WITHIN_SECONDS)
        self._workers: set[int] = set()
        self.retired = False
        self.closed = False
        with theirs:
            self._process = Popen(
                [sys.executable, "-P", "-c", BOOT], stdin=theirs.fileno(), stdout=2, env=_environment()
            )

    def start(self, modules: Collection[str]) -> tuple[int, socket.socket]:
        """Fork a worker that has imported ``modules``; return its pid and the socket that it takes jobs from.

        Raises ``WorkersBroken``.
        """
        ours, theirs = socket.socketpair()
        try:
            pid = self._ask(FORK, sorted(modules), [theirs.fileno()])
        except WorkersBroken:
            ours.close()
            raise
        finally:
            theirs.close()
        self._workers.add(pid)
        ours.setblocking(False)
        return pid, ours

    def end(self, pid: int) -> int:
        """Kill a worker, unless it is dead; return how it ended, as ``Popen`` says it."""
        how = self._end(pid)
        if self.retired and not self._workers:
            self.close()
        return how

    def retire(self) -> None:
        """Be closed with the last worker."""
        self.retired = True
        if not self._workers:
            self.close()

    def lives(self) -> bool:
        """Say whether it is there to be forked from."""
        return not self.retired and self._process.poll() is None

    def close(self) -> None:
        """Kill the workers that are left, then the process, and wait for them. May be called twice."""
        self.retired = self.closed = True
        for pid in tuple(self._workers):
            self._end(pid)
        self._process.kill()
        self._process.wait()
        self._control.close()

    def _end(self, pid: int) -> int:
        self._workers.discard(pid)
        try:
            return self._ask(END, pid)
        except WorkersBroken:  # the kernel kills the workers with what forked them
            return -signal.SIGKILL

    def _ask(self, order: str, what: int | list[str], descriptors: Sequence[int] = ()) -> int:
        try:
            socket.send_fds(self._control, [json.dumps([order, what]).encode()], descriptors)
            return int(json.loads(self._control.recv(_MOST_ANSWER_BYTES)))
        except (OSError, ValueError) as error:
            self._process.kill()
            self._process.wait()
            raise WorkersBroken("The process that forks workers does not answer.") from error


def _environment() -> dict[str, str]:
    """Return what an interpreter needs to find the same modules, and none of the server's secrets."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | _MALLOC | {"PYTHONPATH": os.pathsep.join(sys.path)}
