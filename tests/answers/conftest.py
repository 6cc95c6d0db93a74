"""A folder for answers, and places in it."""

import stat
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.answers.files import Answers
from imageedit_server.answers.layout import Asked

CALLED = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
ANSWERED = datetime(2026, 11, 30, 12, 0, 41, tzinfo=UTC)


def asked(task_id: str = "task-1", brief: Mapping[str, Any] | None = None, **changes: Any) -> Asked:
    fields: dict[str, Any] = {
        "task_id": task_id,
        "attempt": 1,
        "token_sha256": "5e" * 32,
        "provider": "openai",
        "version": "1.0",
        "call_time": CALLED,
        "brief": {"n": 2} if brief is None else brief,
    }
    return Asked(**{**fields, **changes})


@dataclass
class StillClock:
    """It is always the time at which the answer ended, and no pause takes any."""

    pauses: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return ANSWERED

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def files_in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "answers"


@pytest.fixture
async def answers(folder: Path, clock: StillClock) -> AsyncIterator[Answers]:
    files = Answers(folder, clock, min_free_bytes=1, version="1.0")
    assert await files.open() == []
    yield files
    await files.aclose()
