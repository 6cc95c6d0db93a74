"""The system calls that a worker may make: an allow list, kept by the kernel (seccomp, P34).

A worker has imported what its jobs use and is handed its pictures, so it opens nothing by name, starts
nothing, speaks to nobody but the server and changes none of its limits. What is not listed fails with EPERM.
Who asks who one is (``get*id``) is always answered: callers of those do not look for errors, and what a
refused one returned, -1, is every process there is when it is given to ``kill``.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fcntl import F_GETFD, F_GETFL, F_SETFD
from mmap import MADV_DONTNEED, MADV_FREE, PROT_EXEC
from typing import Final

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

_OWN_PID: Final = -1
"""Stands in a rule for the pid of the process that is confined."""
_F_DUPFD_CLOEXEC = 1030


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """What one argument of a call must be: one of ``values``, or without any bit of ``never``.

    The lower 32 bits are looked at, since no such argument has more; with ``whole`` all 64, of a pointer.
    """

    argument: int
    values: tuple[int, ...] = ()
    never: int = 0
    whole: bool = False


_NOT_EXECUTABLE = _Rule(argument=2, never=PROT_EXEC)
_RULES: Final = {
    # Not by which signals are asked for (F_SETOWN, F_SETSIG, O_ASYNC), nor locks and leases.
    "fcntl": _Rule(argument=1, values=(F_GETFD, F_SETFD, F_GETFL, _F_DUPFD_CLOEXEC)),
    "mmap": _NOT_EXECUTABLE,
    "mprotect": _NOT_EXECUTABLE,
    "madvise": _Rule(argument=2, values=(MADV_DONTNEED, MADV_FREE)),
    "prlimit64": _Rule(argument=2, values=(0,), whole=True),  # to ask, not to set
    "clock_gettime": _Rule(argument=0, never=1 << 31),  # the clocks of other processes are negative
    "kill": _Rule(argument=0, values=(_OWN_PID,)),
    "tgkill": _Rule(argument=0, values=(_OWN_PID,)),
}
_NOT_THERE: Final = 0xFFFFFFFF
_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# By the number on x86_64 and on aarch64, what is called most often first.
_NUMBERS: Final = {
    "mmap": (9, 222),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "brk": (12, 214),
    "mremap": (25, 216),
    "mprotect": (10, 226),
    "futex": (202, 98),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "dup": (32, 23),
    "fcntl": (72, 25),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "time": (201, _NOT_THERE),
    "times": (100, 153),
    "getrusage": (98, 165),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "pause": (34, _NOT_THERE),
    "poll": (7, _NOT_THERE),
    "ppoll": (271, 73),
    "restart_syscall": (219, 128),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "getrandom": (318, 278),
    "getcwd": (79, 17),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrlimit": (97, 163),
    "prlimit64": (302, 261),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getpgrp": (111, _NOT_THERE),
    "getpgid": (121, 155),
    "getsid": (124, 156),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getresuid": (118, 148),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getresgid": (120, 150),
    "getgroups": (115, 158),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "exit": (60, 93),
    "exit_group": (231, 94),
}

_libc = ctypes.CDLL(None, use_errno=True)


def take_no_privileges() -> None:
    """Get no new privileges for good, whatever is started or opened; ``allow_few`` needs that."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def allow_few() -> None:
    """Hold this process to the list for good. Raises ``OSError`` where the kernel could and will not.

    A kernel without such filters goes without, and so does a machine that is not in the table.
    """
    program = _program(os.uname().machine, os.getpid())
    code = ctypes.create_string_buffer(program)
    count = len(program) // _LINE.size
    head = ctypes.create_string_buffer(struct.pack("HP", count, ctypes.addressof(code)))
    if count:
        _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(head))


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) and ctypes.get_errno() != errno.EINVAL:
        raise OSError(ctypes.get_errno(), "The kernel will not confine a worker.")


_LINE = struct.Struct("HBBI")
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ARCHITECTURE_AT, _NUMBER_AT, _ARGUMENTS_AT = 4, 0, 16
_ALLOW, _FAIL_WITH_EPERM = 0x7FFF0000, 0x00050001
_FOREIGN_NUMBERS = 0x40000000  # x86_64's second table of calls

_Line = tuple[int, int, int, int]
"""A command, how many lines to skip if it holds and if not, and its value."""


def _program(machine: str, pid: int) -> bytes:
    """Return the filter in the kernel's own language; nothing for a machine that is not known."""
    if machine not in _ARCHITECTURES:
        return b""
    column = list(_ARCHITECTURES).index(machine)
    numbers = {name: both[column] for name, both in _NUMBERS.items() if both[column] != _NOT_THERE}
    lines: list[_Line] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _FAIL_WITH_EPERM),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _FOREIGN_NUMBERS),
        (_RETURN, 0, 0, _FAIL_WITH_EPERM),
    ]
    for name, number in numbers.items():
        judged = list(_judged(_RULES[name], pid)) if name in _RULES else [(_RETURN, 0, 0, _ALLOW)]
        lines += [(_EQUAL, 0, len(judged), number), *judged]
    return b"".join(_LINE.pack(*line) for line in (*lines, (_RETURN, 0, 0, _FAIL_WITH_EPERM)))


def _judged(rule: _Rule, pid: int) -> Iterator[_Line]:
    """Yield the lines that look at an argument and end the filter."""
    low = _ARGUMENTS_AT + 8 * rule.argument  # both machines keep the lower half first
    if rule.whole:
        yield _LOAD, 0, 0, low + 4
        yield _EQUAL, 1, 0, 0
        yield _RETURN, 0, 0, _FAIL_WITH_EPERM
    yield _LOAD, 0, 0, low
    if rule.never:
        yield _ANY_BIT, 0, 1, rule.never
        yield _RETURN, 0, 0, _FAIL_WITH_EPERM
        yield _RETURN, 0, 0, _ALLOW
        return
    values: Sequence[int] = [pid if value == _OWN_PID else value for value in rule.values]
    for place, value in enumerate(values):
        yield _EQUAL, len(values) - place, 0, value
    yield _RETURN, 0, 0, _FAIL_WITH_EPERM
    yield _RETURN, 0, 0, _ALLOW
