"""What the kernel knows of a process: its memory, its processor time, its children."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

ESTABLISHED = "01"
"""The state of a connection in the tables of ``/proc/net``."""


def memory_bytes(pid: int, what: str = "VmRSS") -> int:
    """Return its resident memory, or with ``VmHWM`` the most it was since ``forget_peak``."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def proportional_bytes(pid: int) -> int:
    """Return its resident memory, of what it shares with others its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def forget_peak(pid: int) -> None:
    """Let ``VmHWM`` begin anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def processor_seconds(pid: int) -> float:
    """Return the processor time of all its threads so far."""
    return time.clock_gettime(~pid << 3 | 2)  # clock_getcpuclockid(3), which Python does not have


def family_seconds(pid: int) -> float:
    """Return the processor time so far of it and its descendants, of those too that have ended.

    Youngest first: who ends meanwhile is then found with its parent.
    """
    seconds = 0.0
    for member in reversed([pid, *descendants(pid)]):
        with suppress(OSError):
            seconds += processor_seconds(member) + _seconds_of_ended_children(member)
    return seconds


def thread_seconds(pid: int) -> dict[int, float]:
    """Return the processor time of each of its threads that lives, by thread id."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {int(thread.name): int((thread / "schedstat").read_text().split()[0]) / 1e9 for thread in threads}


def unread_bytes(port: int) -> int:
    """Return how much came for connections to this port that its process has not read."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines() for name in ("tcp", "tcp6")]
    return sum(
        int(fields[4].rpartition(":")[2], 16)
        for fields in map(str.split, chain(*tables))
        if fields[3] == ESTABLISHED and int(fields[1].rpartition(":")[2], 16) == port
    )


def children(pid: int) -> list[int]:
    """Return the pids of its children."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def descendants(pid: int) -> Iterator[int]:
    """Yield the pids of its children, of theirs, and so on."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def _seconds_of_ended_children(pid: int) -> float:
    """Return the processor time of the children that it waited for, and of theirs, in steps of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
