"""Tests in several processes: a failure is one of the run, and figures come together in one place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FileScheduling

ROOT = Path(__file__).parents[2]
CONFTEST = """
from tests.conftest import pytest_report_to_serializable, pytest_xdist_make_scheduler
pytest_plugins = ["tests.figures"]
"""
TESTS = """
import os
import subprocess
import sys
import pytest

CHILD = "import signal; print(*(int(signal.getsignal(n) is signal.SIG_IGN) for n in (2, 15)))"

def test_signals(figures):
    ignored = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout
    figures.line("signals", "ignored by a child: " + ignored)

@pytest.mark.parametrize("number", [0, 1, 2])
def test_whole(number, figures):
    figures.cell("a table", "{row}", "passes" if number else "fails")
    figures.line("where", os.environ["PYTEST_XDIST_WORKER"] + " ran {row}")
    print("half a character: \\udcff")
    assert number

@pytest.mark.parametrize("number", [1, 2, 3], ids=["part 1 a", "part 2 a", "part 1 b"])
def test_parts(number, figures):
    figures.line("parts", os.environ["PYTEST_XDIST_WORKER"] + f" ran part {1 + (number == 2)} of {row}")
"""

DEAF = ("sh", "-c", "trap '' INT TERM; exec \"$@\"", "deaf")
"""As a script's shell starts what runs in its background."""


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEAF, sys.executable, "-m", "pytest", "-n", "2", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    for row in ("one", "two"):
        (tmp_path / f"test_{row}.py").write_text(TESTS.replace("{row}", row))
    return tmp_path


def test_what_fails_in_one_process_fails_the_run_and_its_figures_are_printed(folder: Path) -> None:
    ran = run(folder)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout + ran.stderr
    table = [line.split() for line in ran.stdout.partition(" a table ")[2].splitlines()[1:5]]
    assert sorted(table[0]) == ["fails", "passes"]
    counts = {"fails": "0/1", "passes": "2/2"}
    assert sorted(table[1:3]) == [[row, *map(counts.get, table[0])] for row in ("one", "two")]
    assert table[3] == ["passed:", "4/6"]
    # What a test starts is deaf to nothing, though the run is.
    assert ran.stdout.count("ignored by a child: 0 0") == 2
    # A file stays together, and so does a part of one.
    lines = [line for line in ran.stdout.splitlines() if line.startswith("gw") and " ran " in line]
    assert len(lines) == 12
    assert len({line.partition(" ran ")[2] for line in lines}) == len(set(lines)) == 6


def test_the_scopes_are_files_and_parts() -> None:
    scheduling = FileScheduling.__new__(FileScheduling)
    for nodeid, scope in (
        ("tests/a/test_b.py::test_c", "tests/a/test_b.py"),
        ("tests/a/test_b.py::test_c[x::y@z]", "tests/a/test_b.py"),
        ("tests/a/test_b.py::test_c[part 12 x]", "tests/a/test_b.py[part 12 "),
    ):
        assert scheduling._split_scope(nodeid) == scope
