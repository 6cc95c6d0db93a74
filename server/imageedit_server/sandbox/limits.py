"""What one job may take, and how the kernel is told: by the server, from outside of the worker (P18, P34)."""

import math
import resource
import sys
import time
from dataclasses import dataclass
from functools import lru_cache

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

_CPU_TIME_OF_PROCESS = 2


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


SETS_LIMITS_FROM_OUTSIDE = sys.platform == "linux"
"""Whether a process's limits can be set by another; else a worker sets its own."""


def allow_from_outside(pid: int, allowance: Allowance) -> None:
    """Set the limits of a worker's next job: beyond them memory is refused, and it is killed for time.

    The worker can change none of them: its system calls do not let it, and they are hard where the service
    may raise hard limits again for the next job. Raises ``ProcessLookupError`` for a worker that is gone.
    """
    if SETS_LIMITS_FROM_OUTSIDE:
        cpu_seconds = math.ceil(_cpu_time(pid)) + allowance.cpu_seconds
        _limit_other(pid, resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)  # the first says what it died of
        _limit_other(pid, resource.RLIMIT_AS, allowance.memory_bytes, allowance.memory_bytes)


def let_rest(pid: int) -> None:
    """Leave a worker that answered a second of CPU or two: one that was taken over goes on with nothing.

    Raises ``ProcessLookupError`` for a worker that is gone.
    """
    if SETS_LIMITS_FROM_OUTSIDE:
        cpu_seconds = math.ceil(_cpu_time(pid)) + 1
        _limit_other(pid, resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)


def allow_from_inside(allowance: Allowance) -> None:
    """Set the limits of this process's next job, as far as the system offers it."""
    if not SETS_LIMITS_FROM_OUTSIDE:
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        value = math.ceil(time.process_time()) + allowance.cpu_seconds
        resource.setrlimit(resource.RLIMIT_CPU, (_within(value, hard), hard))


def limit(what: int, value: int) -> None:
    """Set a limit of this process for good; never above what it was held to before."""
    _, hard = resource.getrlimit(what)
    value = _within(value, hard)
    resource.setrlimit(what, (value, value))


def _within(value: int, hard: int) -> int:
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _limit_other(pid: int, what: int, soft: int, hard: int) -> None:
    """Set both limits where the hard one can be raised again, else the soft one; neither above our own."""
    _, most = resource.getrlimit(what)
    if not _may_raise(pid):
        hard = most
    resource.prlimit(pid, what, (_within(soft, most), _within(hard, most)))


@lru_cache(maxsize=16)
def _may_raise(worker: int) -> bool:
    """Try it with the worker's limit of core files, which is none."""
    try:
        resource.prlimit(worker, resource.RLIMIT_CORE, (0, 1))
    except (PermissionError, ValueError):
        return False
    resource.prlimit(worker, resource.RLIMIT_CORE, (0, 0))
    return True


def _cpu_time(pid: int) -> float:
    """Return the CPU seconds that a process took so far, from its clock (``clock_getcpuclockid``)."""
    return time.clock_gettime((~pid << 3) | _CPU_TIME_OF_PROCESS)
