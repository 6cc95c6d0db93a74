"""Where the folders of tests are: in memory, where there is room for them.

Every database that a test opens has its fsyncs, of 1 to 5 ms each on a disk, many thousands in a run. What is
asked of the kernel is the same; what a disk loses is the matter of tests/powerloss. PYTEST_DEBUG_TEMPROOT,
which pytest reads, says otherwise.
"""

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")
MOST_BYTES = 4 * 1024**3
"""What a run of all tests may need, of the file system and of the machine's memory."""


def in_memory() -> None:
    """Have pytest make its folders there."""
    if MEMORY.is_dir() and min(shutil.disk_usage(MEMORY).free, _available()) > MOST_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def _available() -> int:
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)
