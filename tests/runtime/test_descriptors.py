"""How many files and connections may be open, and those that are kept back (P25)."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from imageedit_server.runtime import descriptors
from imageedit_server.runtime.descriptors import FEW, OWN, PER_TASK, Spares


@contextmanager
def at_most(number: int) -> Iterator[None]:
    """Let this process have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def a_file() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def all_taken() -> int:
    """Return a limit under which nothing more can be opened: the kernel gives the lowest number there is."""
    descriptor = a_file()
    os.close(descriptor)
    return descriptor


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        (20_000, 20_000 - OWN - 200 - 64 * PER_TASK),
        (1024, 1024 - OWN - 200 - 64 * PER_TASK),
        (600, 150),
        (256, 64),
    ],
)
def test_connections_leave_room_for_what_is_paid_for(
    limit: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: limit)
    assert descriptors.most_connections(tasks=64, others=200) == most


def test_a_limit_without_end_is_a_number() -> None:
    monkeypatched = resource.RLIM_INFINITY
    original = resource.getrlimit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resource, "getrlimit", lambda which: (monkeypatched, original(which)[1]))
        assert 0 < descriptors.most_connections(tasks=64, others=200) < 2**31


@pytest.mark.parametrize("way", ["/proc/self/fd", "/dev/fd"])
def test_what_is_opened_is_counted(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descriptors, "OPEN_FILES", way)
    before = descriptors.left()
    opened = [a_file() for _ in range(10)]
    assert before - descriptors.left() == len(opened)
    for each in opened:
        os.close(each)
    assert descriptors.left() == before


def test_it_is_said_before_they_run_out() -> None:
    assert descriptors.trouble() == ""
    with at_most(descriptors.limit() - descriptors.left() + FEW - 1):
        assert f"{FEW - 1} of " in descriptors.trouble()
    with at_most(3):
        assert "0 of 3 are left" in descriptors.trouble()


def test_a_spare_is_used_where_there_is_none() -> None:
    """Four times; then it is EMFILE like for everyone. Control: without spares it is so at once."""
    spares = Spares()
    spares.keep()
    with at_most(all_taken()):
        with pytest.raises(OSError, match="Too many open files"):
            a_file()
        opened = [spares.use(a_file) for _ in range(4)]
        with pytest.raises(OSError, match="Too many open files"):
            spares.use(a_file)
        spares.keep()  # which finds none, and is silent
    for each in opened:
        os.close(each)


def test_other_errors_cost_no_spare() -> None:
    spares = Spares()
    spares.keep()
    before = descriptors.left()

    def missing() -> int:
        return os.open("/nowhere/at/all", os.O_RDONLY)

    with pytest.raises(FileNotFoundError):
        spares.use(missing)
    assert descriptors.left() == before
