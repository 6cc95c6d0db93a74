"""What runs outside of the server: a process that forks workers, and the workers, which answer jobs.

The first is a fresh interpreter, never a fork of the server. It has one thread, is confined, imports what
the jobs name and looks into no picture; so a worker costs a fork instead of a start with all its imports.
Both end with the server: their sockets do, and where the kernel offers it, it kills them at once.

A job is ``JOB_HEADER`` with the number of its contents and the length of its words, then the ``LENGTH`` of
each content, the words and the contents. The words are a pickle; the contents are what it has of bytes that
are not few, so that a picture is copied neither into the pickle nor out of it.

An answer is plain data, since what reads a picture may be taken over by it, and must not reach further.
Before its two parts stands ``HEADER`` with their lengths. The words are JSON, ``[result]`` or ``[kind of
error, its strings]``; the content is all bytes of the result, in whose places the words say
``{"at": offset, "bytes": count}``.
"""

import gc
import importlib
import json
import os
import pickle
import signal
import socket
import struct
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from io import BytesIO
from typing import Any

from imageedit_server.runtime.workers import JobFailed, JobRefused
from imageedit_server.sandbox.confinement import KIB, MIB, arm, confine, die_with_parent

JOB_HEADER = struct.Struct("!IQ")
LENGTH = struct.Struct("!Q")
HEADER = struct.Struct("!IQ")
MOST_WORDS_BYTES = 256 * KIB
_MOST_TRACEBACK_CHARS = 10_000
FORK, END = "fork", "end"


def serve() -> None:
    """Fork workers and end them, as stdin's socket says, until the server is gone; never returns.

    A request is ``["fork", names of modules]``, which comes with the worker's socket, or ``["end", pid]``; it
    is answered with the pid, or with how the worker ended, as ``Popen`` says it. Since only that reaps a
    worker, a pid that the server knows stays the worker's.
    """
    os.dup2(2, 1)  # what a library prints is no business of the server's stdout
    die_with_parent()
    confine()
    with suppress(OSError), socket.socket(fileno=0) as control:
        while received := socket.recv_fds(control, MIB, 1):
            message, descriptors = received[:2]
            if not message:
                break
            order, what = json.loads(message)
            done = _fork(descriptors[0], what) if order == FORK else _end(what)
            control.sendall(json.dumps(done).encode())
    os._exit(0)


def _fork(jobs: int, modules: Sequence[str]) -> int:
    for module in modules:
        with suppress(Exception):  # the job that needs it will say what is wrong
            importlib.import_module(module)
    gc.freeze()  # what is here will stay: no worker need copy it to see that
    pid = os.fork()
    if pid:
        os.close(jobs)
        return pid
    try:
        die_with_parent()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # not the server's orders
        with suppress(OSError, EOFError):
            _work(socket.socket(fileno=jobs))
    finally:
        os._exit(0)


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _work(server: socket.socket) -> None:
    """Answer jobs until the server is gone; raises ``OSError`` or ``EOFError`` then."""
    with server.makefile("rb") as jobs:
        while True:
            count, words = JOB_HEADER.unpack(_read(jobs, JOB_HEADER.size))
            lengths = [LENGTH.unpack(_read(jobs, LENGTH.size))[0] for _ in range(count)]
            job = _read(jobs, words)
            server.sendall(_answer(job, [_read(jobs, length) for length in lengths]))


def _read(stream: Any, count: int) -> bytes:
    data: bytes = stream.read(count)
    if len(data) < count:
        raise EOFError
    return data


class _Unpickler(pickle.Unpickler):
    """Reads words in which numbers stand for contents."""

    def __init__(self, words: bytes, contents: Sequence[bytes]) -> None:
        super().__init__(BytesIO(words))
        self._contents = contents

    def persistent_load(self, pid: int) -> bytes:
        return self._contents[pid]


def _answer(job: bytes, contents: Sequence[bytes]) -> bytes:
    """Run one pickled ``(allowance, function, args, kwargs)``."""
    try:
        allowance, function, args, kwargs = _Unpickler(job, contents).load()
        arm(allowance)
        return _packed([function(*args, **kwargs)], allowance.content_bytes)
    except JobRefused as refusal:
        return _packed([name_of(type(refusal)), refusal.args])
    except MemoryError:
        return _packed([name_of(MemoryError), []])
    except Exception:  # noqa: BLE001  whatever it is, the caller learns it
        return _packed([name_of(JobFailed), [traceback.format_exc()[-_MOST_TRACEBACK_CHARS:]]])


def name_of(error: type[Exception]) -> str:
    """Name a kind of error in an answer."""
    return f"{error.__module__}.{error.__qualname__}"


def _packed(answer: Sequence[Any], most_content_bytes: int = 0) -> bytes:
    """Write an answer. Raises ``TypeError`` for what is not plain, ``ValueError`` for too much."""
    contents: list[bytes] = []

    def plain(value: Any) -> Any:
        if isinstance(value, bytes):
            contents.append(value)
            return {"at": sum(map(len, contents[:-1])), "bytes": len(value)}
        if is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in fields(value)}
        raise TypeError(f"A job may not return {type(value).__name__}.")

    words = json.dumps(answer, default=plain).encode()
    content_bytes = sum(map(len, contents))
    if len(words) > MOST_WORDS_BYTES or content_bytes > most_content_bytes:
        raise ValueError(f"The job returned {len(words)} bytes of words and {content_bytes} of content.")
    return b"".join((HEADER.pack(len(words), content_bytes), words, *contents))
