"""What a picture that took over its worker would reach for: each a call that works for the service's user.

A job of its own, since a worker imports nothing later. No call here does harm where it is let: signals are
number 0, which reaches nobody, and what is written to is the test's own.
"""

import _thread
import ctypes
import fcntl
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PROT_EXEC, PROT_READ, mmap

from imageedit_server.images.inspection import undecodable
from imageedit_server.sandbox.worker_process import HEADER

_libc = ctypes.CDLL(None, use_errno=True)
_PIDFD_OPEN, _PIDFD_SEND_SIGNAL, _PIDFD_GETFD, _OPENAT2, _IO_URING_SETUP = 434, 424, 438, 437, 425
_AT_FDCWD, _AT_EMPTY_PATH = -100, 0x1000
_NOTHING = 0
_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4


@dataclass(frozen=True, kw_only=True)
class Target:
    """Whom it is tried on: a process, and a folder with a file ``secret`` and an empty folder ``empty``."""

    pid: int
    folder: str

    @property
    def secret(self) -> str:
        return f"{self.folder}/secret"


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def _syscall(number: int, *arguments: object) -> int:
    return _checked(_libc.syscall(number, *arguments))


def _fork() -> None:
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _spawn() -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


def _statx(name: bytes, flags: int) -> None:
    _checked(_libc.statx(_AT_FDCWD, name, flags, 0xFFF, ctypes.create_string_buffer(256)))


def _openat2(target: Target) -> None:
    how = ctypes.create_string_buffer(24)
    os.close(_syscall(_OPENAT2, _AT_FDCWD, target.secret.encode(), how, 24))


def _pidfd(target: Target) -> int:
    return _syscall(_PIDFD_OPEN, target.pid, 0)


def _raise_limit(what: int) -> None:
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (hard, hard))
    resource.setrlimit(what, (soft, hard))


def _executable() -> None:
    mmap(-1, 4096, MAP_PRIVATE | MAP_ANONYMOUS, PROT_READ | PROT_EXEC).close()


def _made_executable() -> None:
    _libc.mmap.restype = ctypes.c_void_p
    address = _libc.mmap(None, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    _checked(_libc.mprotect(ctypes.c_void_p(address), 4096, PROT_READ | PROT_EXEC))


def _queue(call: Callable[..., int], *who: int) -> None:
    _checked(call(*who, 0, ctypes.create_string_buffer(128)))


def _write(path: str) -> None:
    with open(path, "a") as file:
        file.write("")


def _own(target: Target) -> None:
    ours, _theirs = socket.socketpair()
    fcntl.fcntl(ours, fcntl.F_SETOWN, target.pid)


POWERS: dict[str, Callable[[Target], object]] = {
    "read a file": lambda target: os.close(os.open(target.secret, os.O_RDONLY)),
    "write a file": lambda target: _write(target.secret),
    "read a file by openat2": _openat2,
    "read environ": lambda target: os.close(os.open(f"/proc/{target.pid}/environ", os.O_RDONLY)),
    "read its own memory by name": lambda target: os.close(os.open("/proc/self/mem", os.O_RDWR)),
    "list a folder": lambda target: list(os.scandir(target.folder)),
    "ask for a name": lambda target: os.stat(target.secret),
    "ask for a name by AT_EMPTY_PATH": lambda target: _statx(target.secret.encode(), _AT_EMPTY_PATH),
    "ask for access": lambda target: _checked(_libc.access(target.secret.encode(), os.R_OK)),
    "read a link": lambda target: os.readlink("/proc/self/exe"),
    "make a folder": lambda target: os.mkdir(f"{target.folder}/made"),
    "make a link": lambda target: os.link(target.secret, f"{target.folder}/linked"),
    "make a symbolic link": lambda target: os.symlink(target.secret, f"{target.folder}/pointer"),
    "make a fifo": lambda target: os.mkfifo(f"{target.folder}/fifo"),
    "rename": lambda target: os.rename(f"{target.folder}/empty", f"{target.folder}/renamed"),
    "change a mode": lambda target: os.chmod(target.secret, 0o644),
    "change a time": lambda target: os.utime(target.secret),
    "truncate": lambda target: os.truncate(target.secret, 6),
    "remove": lambda target: os.unlink(f"{target.folder}/spare"),
    "change the folder": lambda target: os.chdir(target.folder),
    "a file in memory": lambda target: os.close(os.memfd_create("x")),
    "a ring of calls": lambda target: os.close(
        _syscall(_IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    ),
    "a pipe": lambda target: list(map(os.close, os.pipe())),
    "a socket": lambda target: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0).close(),
    "a local socket": lambda target: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0).close(),
    "a pair of sockets": lambda target: list(socket.socketpair()),
    "fork": lambda target: _fork(),
    "start a program": lambda target: _spawn(),
    "a thread": lambda target: _thread.start_new_thread(int, ()),
    "a signal": lambda target: os.kill(target.pid, _NOTHING),
    "a signal to the group": lambda target: os.kill(0, _NOTHING),
    "a signal to a thread": lambda target: _checked(_libc.tgkill(target.pid, target.pid, _NOTHING)),
    "a signal by pidfd": lambda target: _syscall(_PIDFD_SEND_SIGNAL, _pidfd(target), _NOTHING, None, 0),
    "signals by fcntl": _own,
    "a handle of a process": lambda target: os.close(_pidfd(target)),
    "take a descriptor": lambda target: os.close(_syscall(_PIDFD_GETFD, _pidfd(target), 0, 0)),
    "more memory": lambda target: _raise_limit(resource.RLIMIT_AS),
    "more CPU time": lambda target: _raise_limit(resource.RLIMIT_CPU),
    "more files": lambda target: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64)),
    "another's limits": lambda target: resource.prlimit(
        target.pid, resource.RLIMIT_CPU, resource.prlimit(target.pid, resource.RLIMIT_CPU)
    ),
    "be deaf to the end of its time": lambda target: signal.signal(signal.SIGXCPU, signal.SIG_IGN),
    "block signals": lambda target: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGXCPU}),
    "another priority": lambda target: os.nice(1),
    "another processor": lambda target: os.sched_setaffinity(0, os.sched_getaffinity(0)),
    "another group of processes": lambda target: os.setpgid(0, 0),
    "another user": lambda target: os.setuid(os.getuid()),
    "a user space of its own": lambda target: _checked(_libc.unshare(_NOTHING)),
    "outlive the server": lambda target: _checked(_libc.prctl(_PR_SET_PDEATHSIG, 0, 0, 0, 0)),
    "be dumpable": lambda target: _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)),
    "run what it wrote": lambda target: _executable(),
    "run what it changed": lambda target: _made_executable(),
}


def attempt(target: Target) -> dict[str, str]:
    """Try each; return what each ended with, nothing where it worked."""
    ends = {}
    for name, power in POWERS.items():
        try:
            power(target)
            ends[name] = ""
        except (OSError, ValueError, RuntimeError) as error:
            ends[name] = f"{type(error).__name__}: {error}"
    return ends


def answer_and_go_on() -> int:
    """Answer with its pid, past all that runs around it, and work on for ever."""
    words = b"[%d]" % os.getpid()
    for descriptor in range(3, 64):
        with suppress(OSError):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor)
            server.sendall(HEADER.pack(len(words), 0) + words)
    return sum(range(10**18))


def harmless() -> dict[str, int]:
    """Return who a worker is: what asks for that is answered, since its callers do not look for errors."""
    own = {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(), "session": os.getsid(0)}
    return own | {"user": os.getuid(), "effective": os.geteuid(), "groups": os.getgid(), "egid": os.getegid()}


def late() -> str:
    """Import what nobody imported before the fork, as a library does that hides it, and blame the picture."""
    try:
        import wave  # noqa: F401, PLC0415
    except ImportError as error:
        raise undecodable("is a broken picture") from error
    return "imported"
