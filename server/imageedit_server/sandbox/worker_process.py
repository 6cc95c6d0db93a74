"""What runs outside of the server: a process that forks workers, and the workers, which answer jobs.

The first is a fresh interpreter, never a fork of the server. It has one thread, imports what the jobs name
and looks into no picture; so a worker costs a fork instead of a start with all its imports, and needs no file
any more. Both end with the server: their sockets do, and where the kernel offers it, it kills them at once.

A job is ``JOB_HEADER`` with the numbers of its contents and of its files and the length of its words, then
the ``LENGTH`` of each content and each file, the words and the contents; the files come as descriptors, with
the header. The words are a pickle. The contents are what it has of bytes that are not few, so that a picture
is copied neither into the pickle nor out of it; files are what it has of paths, and arrive as their bytes.

An answer is plain data, since what reads a picture may be taken over by it, and must not reach further.
Before its two parts stands ``HEADER`` with their lengths. The words are JSON, ``[result]`` or ``[kind of
error, its strings]``; the content is all bytes of the result, in whose places the words say
``{"at": offset, "bytes": count}``.
"""

import gc
import json
import os
import pickle
import signal
import socket
import struct
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import fields, is_dataclass
from io import BytesIO
from mmap import ACCESS_READ, mmap
from typing import Any

from imageedit_server.runtime.workers import JobFailed, JobRefused, WorkersBroken
from imageedit_server.sandbox.confinement import confine, confine_parent, die_with_parent
from imageedit_server.sandbox.limits import KIB, MIB, allow_from_inside
from imageedit_server.sandbox.preloading import load

JOB_HEADER = struct.Struct("!HHQ")
LENGTH = struct.Struct("!Q")
HEADER = struct.Struct("!IQ")
MOST_WORDS_BYTES = 256 * KIB
MOST_FILES = 16
"""How many files a job may be given."""
_MOST_TRACEBACK_CHARS = 10_000
_MOST_CAUSES = 100
FORK, END = "fork", "end"
CONTENT, FILE = "content", "file"
"""What a place in the words stands for, with its number."""

_Given = Mapping[str, Sequence[bytes | mmap]]


def serve() -> None:
    """Fork workers and end them, as stdin's socket says, until the server is gone; never returns.

    A request is ``["fork", names of modules]``, which comes with the worker's socket, or ``["end", pid]``; it
    is answered with the pid, or with how the worker ended, as ``Popen`` says it. Since only that reaps a
    worker, a pid that the server knows stays the worker's.
    """
    os.dup2(2, 1)  # what a library prints is no business of the server's stdout
    confine_parent()
    die_with_parent()
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
    load(modules)
    gc.freeze()  # what is here will stay: no worker need copy it to see that
    pid = os.fork()
    if pid:
        os.close(jobs)
        return pid
    try:
        with suppress(OSError, EOFError), socket.socket(fileno=jobs) as server:
            _work(server, _confined())
    finally:
        os._exit(0)


def _end(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _confined() -> str:
    """Confine this process; return why it is not, or nothing."""
    try:
        confine()
    except OSError as error:
        return str(error)
    return ""


def _work(server: socket.socket, trouble: str) -> None:
    """Answer jobs until the server is gone; raises ``OSError`` or ``EOFError`` then."""
    while True:
        with ExitStack() as files:
            words, given = _received(server, files)
            server.sendall(_said(WorkersBroken, trouble) if trouble else _answer(words, given))


def _received(server: socket.socket, files: ExitStack) -> tuple[bytes, _Given]:
    """Return the words of the next job and what they stand for; its files are there while ``files`` is."""
    header, descriptors, *_ = socket.recv_fds(server, JOB_HEADER.size, MOST_FILES)
    contents, file_count, words = JOB_HEADER.unpack(header + _read(server, JOB_HEADER.size - len(header)))
    lengths = [LENGTH.unpack(_read(server, LENGTH.size))[0] for _ in range(contents + file_count)]
    job = _read(server, words)
    mapped = zip(descriptors, lengths[contents:], strict=True)
    return job, {
        CONTENT: [_read(server, length) for length in lengths[:contents]],
        FILE: [_mapped(descriptor, length, files) for descriptor, length in mapped],
    }


def _read(server: socket.socket, count: int) -> bytes:
    data = server.recv(count, socket.MSG_WAITALL) if count else b""
    if len(data) < count:
        raise EOFError
    return data


def _mapped(descriptor: int, length: int, files: ExitStack) -> bytes | mmap:
    """Return a file's bytes as they lie in memory anyway; its length is told, since it cannot be asked."""
    files.callback(os.close, descriptor)
    if not length:  # which cannot be mapped
        return b""
    data = mmap(descriptor, length, access=ACCESS_READ)
    files.callback(_let_go, data)
    return data


def _let_go(data: mmap) -> None:
    with suppress(BufferError):  # then it goes with whoever still has a view of it
        data.close()


class _Unpickler(pickle.Unpickler):
    """Reads words in which numbers stand for contents and files."""

    def __init__(self, words: bytes, given: _Given) -> None:
        super().__init__(BytesIO(words))
        self._given = given

    def persistent_load(self, pid: tuple[str, int]) -> bytes | mmap:
        kind, place = pid
        return self._given[kind][place]


def _answer(words: bytes, given: _Given) -> bytes:
    """Run one pickled ``(allowance, function, args, kwargs)``."""
    try:
        allowance, function, args, kwargs = _Unpickler(words, given).load()
        allow_from_inside(allowance)
        return _packed([function(*args, **kwargs)], allowance.content_bytes)
    except Exception as error:  # noqa: BLE001  whatever it is, the caller learns it
        if any(isinstance(cause, ImportError) for cause in _causes(error)):  # ours, whatever became of it
            return _said(WorkersBroken, _traceback())
        if isinstance(error, JobRefused):
            return _said(type(error), *error.args)
        return _said(MemoryError) if isinstance(error, MemoryError) else _said(JobFailed, _traceback())


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what led to it."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _traceback() -> str:
    return traceback.format_exc()[-_MOST_TRACEBACK_CHARS:]


def _said(error: type[Exception], *strings: str) -> bytes:
    return _packed([name_of(error), strings])


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
