"""How often an edit waits for the disk, so that no change adds a wait unseen (docs/measured.md)."""

import os
import stat
from collections import Counter
from pathlib import Path

import pytest

from imageedit_server.core.task import State
from imageedit_server.store.sqlite.group_commit import COMMITTING
from tests.engine.house import House, Vendor, finish_now

COSTS = {"commit": 3, "file": 2, "folder": 2, "answer": 1}
"""Created and claimed, intended, ended; each of two pictures as a file and its name; what the vendor said."""


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is waited for."""
    counted: Counter[str] = Counter()
    fsync, fdatasync = os.fsync, os.fdatasync

    def counted_fsync(descriptor: int) -> None:
        counted["folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"] += 1
        fsync(descriptor)

    def counted_fdatasync(descriptor: int) -> None:
        counted["answer"] += 1
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fsync", counted_fsync)
    monkeypatch.setattr(os, "fdatasync", counted_fdatasync)
    return counted


async def test_an_edit_waits_for_three_commits_and_for_its_bytes(
    tmp_path: Path, vendor: Vendor, waits: Counter[str]
) -> None:
    vendor.submit = finish_now
    async with House(tmp_path, vendor) as house:
        await house.ended(await house.create())  # what the first one makes ready is not counted
        waits.clear()
        with COMMITTING.heard_by(lambda: waits.update(["commit"])):
            task = await house.ended(await house.create())
        assert task.status.state is State.SUCCEEDED
        assert waits | Counter(answer=1) == COSTS  # which is not waited for where all else was quicker
