"""What a worker process may do and take (P18, PROMISES §7). Runs in the worker, or in what it is forked from.

Limits are the kernel's, so no decoder evades them. Linux keeps all of them; elsewhere those that the system
offers. Files stay readable: a worker may read what the service's user may.
"""

import ctypes
import math
import os
import resource
import signal
import struct
import sys
import time
from dataclasses import dataclass
from typing import Final

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_MOST_FILES = 64
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """What one job may take, from its start.

    ``cpu_seconds`` is the measure of a picture, the same on an idle and on a busy machine; ``wall_seconds``
    ends what hangs. ``memory_bytes`` is the process's whole address space, ``content_bytes`` how many bytes
    of pictures its answer may bring.
    """

    cpu_seconds: int
    wall_seconds: float
    memory_bytes: int
    content_bytes: int = 256 * MIB


_libc = ctypes.CDLL(None)


def confine() -> None:
    """Give up for good what no job needs: core dumps, files beyond a few, the network, other programs.

    What is forked from the process is confined alike.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_NOFILE, _MOST_FILES)
    if sys.platform == "linux":
        _deny_system_calls()


def die_with_parent() -> None:
    """Let the kernel kill the process at once when its parent ends; a fork has to say so itself."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def arm(allowance: Allowance) -> None:
    """Set the limits of the next job: beyond them memory is refused, and the process is killed for time."""
    _limit(resource.RLIMIT_CPU, math.ceil(time.process_time()) + allowance.cpu_seconds)
    if sys.platform == "linux":  # elsewhere the call fails, or means nothing
        _limit(resource.RLIMIT_AS, allowance.memory_bytes)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


# System calls, by architecture: its audit number, then socket, execve, execveat, ptrace, process_vm_readv,
# process_vm_writev and io_uring_setup (which could do what the others may not).
_DENIED: Final = {
    "x86_64": (0xC000003E, (41, 59, 322, 101, 310, 311, 425)),
    "aarch64": (0xC00000B7, (198, 221, 281, 117, 270, 271, 425)),
}
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ARCHITECTURE_AT, _NUMBER_AT = 4, 0
_ALLOW, _FAIL_WITH_EPERM = 0x7FFF0000, 0x00050001
_FOREIGN_NUMBERS = 0x40000000  # x86_64's second table of calls


def _deny_system_calls() -> None:
    """Install a seccomp filter; a kernel without it goes without."""
    known = _DENIED.get(os.uname().machine)
    if known is None:
        return
    architecture, numbers = known
    deny = len(numbers) + 1  # lines from the first jump by number to the last line
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 0, deny + 2, architecture),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, deny, 0, _FOREIGN_NUMBERS),
        *((_EQUAL, deny - 1 - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _FAIL_WITH_EPERM),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = ctypes.create_string_buffer(struct.pack("HP", len(lines), ctypes.addressof(code)))
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), program)
