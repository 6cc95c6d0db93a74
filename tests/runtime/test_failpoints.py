"""A failpoint does nothing until it is armed, and then it kills for good (PROMISES §4)."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[2] / "server" / "imageedit_server"
PASS = """
from imageedit_server.runtime.failpoints import failpoint
for _ in range(3):
    failpoint("here")
    print("passed")
"""


@pytest.mark.parametrize(
    ("armed", "passed", "killed"),
    [("", 3, False), ("there:kill", 3, False), ("here:kill", 0, True), ("here:kill:3", 2, True)],
)
def test_an_armed_point_kills_at_the_chosen_pass(armed: str, passed: int, killed: bool) -> None:
    process = subprocess.run(
        [sys.executable, "-u", "-c", PASS],
        env={"IMAGEEDIT_FAILPOINT": armed},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert process.stdout.count("passed") == passed
    assert process.returncode == (-signal.SIGKILL if killed else 0)


def test_every_point_has_a_name_of_its_own() -> None:
    """A kill at a name that stands twice would not say where."""
    names = [
        name
        for path in SERVER.rglob("*.py")
        for name in re.findall(r"(?<!def )failpoint\(\"?(\w+)\"?\)", path.read_text())
    ]
    assert len(names) == len(set(names)) >= 12
