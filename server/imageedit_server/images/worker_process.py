"""What runs in a worker process: jobs come in on stdin, answers go out on what was stdout.

The process is a fresh interpreter (never a fork) that imports this module and what its jobs name. It dies
with its parent: its stdin ends then, and where the kernel offers it, the kernel kills it at once.
"""

import os
import pickle
import sys
import traceback
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO

from imageedit_server.images.sandbox import arm, confine

READY = b"ready"
"""A worker's first message: one that cannot even start must not be taken for one that a job killed."""

LENGTH_BYTES = 8
"""Before each message stands its length, big-endian."""


def send(stream: BinaryIO, message: bytes) -> None:
    """Write one message; raises ``OSError`` when the other end is gone."""
    stream.write(len(message).to_bytes(LENGTH_BYTES))
    stream.write(message)
    stream.flush()


def receive(stream: BinaryIO) -> bytes:
    """Read one whole message; raises ``EOFError`` when the other end is gone."""
    length = int.from_bytes(_read(stream, LENGTH_BYTES))
    return _read(stream, length)


def serve() -> None:
    """Answer jobs until the parent is gone; never returns."""
    answers = _take_stdout()
    confine()
    send(answers, READY)
    jobs: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive_jobs, args=(sys.stdin.buffer, jobs), daemon=True).start()
    while True:
        send(answers, _answer(jobs.get()))


def _take_stdout() -> BinaryIO:
    """Keep stdout for the answers alone; what a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def _receive_jobs(stream: BinaryIO, jobs: SimpleQueue[bytes]) -> None:
    """Read on while a job runs, since the end of the stream is how the parent's death is seen."""
    try:
        while True:
            jobs.put(receive(stream))
    finally:
        os._exit(0)


def _answer(job: bytes) -> bytes:
    """Run one pickled ``(allowance, function, args, kwargs)``; answer a pickled ``(result, error)``."""
    try:
        allowance, function, args, kwargs = pickle.loads(job)  # noqa: S301  the server wrote it
        arm(allowance)
        return pickle.dumps((function(*args, **kwargs), None))
    except Exception as error:  # noqa: BLE001  whatever it is, the caller learns it
        return pickle.dumps((None, _portable(error)))


def _portable(error: Exception) -> Exception:
    """Return ``error``, or its text where it would not survive pickling, noting where it was raised."""
    error.add_note("In a worker process:\n" + "".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own
    except Exception:  # noqa: BLE001  an error may do anything here
        return RuntimeError("".join(traceback.format_exception(error)))
    return error


def _read(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data
