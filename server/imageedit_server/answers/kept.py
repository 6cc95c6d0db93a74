"""Answers that nobody could read yet: kept as long as their task, for a version that can.

Their names say which version tried last: ``<random>.<version>.kept``. They are never changed, only cut when
they are kept, renamed when another version tries, and removed. No vendor may fill the disk with them: each is
cut to what a picture may have, and the oldest go when all of them take more than ``BUDGET_BYTES``.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from imageedit_server.answers import disk_calls, layout

MIB = 1024 * 1024
MOST_BODY_BYTES = 64 * MIB
BUDGET_BYTES = 1024 * MIB
SUFFIX = ".kept"


def tried_by(path: Path) -> str:
    """Return which version could not read the answer in a file; empty for a file that is not kept."""
    return path.name.removesuffix(SUFFIX).partition(".")[2] if path.name.endswith(SUFFIX) else ""


def keep(path: Path, version: str) -> Path:
    """Keep an answer that ``version`` could not read, durably; return where it is. Blocks.

    Raises ``OSError``: then it is kept or not, and is there in any case.
    """
    kept = path.with_name(f"{path.name.partition('.')[0]}.{version}{SUFFIX}")
    if not path.name.endswith(SUFFIX):
        os.truncate(
            path, min(path.stat().st_size, layout.BODY_AT + MOST_BODY_BYTES)
        )  # and what was set aside
    path.rename(kept)
    disk_calls.sync_folder(path.parent)
    return kept


def over_budget(folder: Path) -> Iterator[Path]:
    """Yield the oldest kept answers, as many as must go. Blocks."""
    files = [(path.stat(), path) for path in folder.glob(f"*{SUFFIX}")]
    total = sum(found.st_size for found, _ in files)
    for found, path in sorted(files, key=lambda file: file[0].st_mtime_ns):
        if total <= BUDGET_BYTES:
            return
        total -= found.st_size
        yield path
