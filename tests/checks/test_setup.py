"""What `make setup` says while an installer works: nobody with a slow line must think that it hangs."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools import setup_venv
from tests.tools.setup_venv import Progress, run_with_progress

LOCK = """# made by `make lock`
grpcio==1.85.1 \\
    --hash=sha256:0a
uvloop==1.0 ; python_version == "3.11" \\
    --hash=sha256:0b
"""
COLLECTS = (
    "print('Collecting grpcio==1.85.1'); print('Collecting grpcio>=1 (from x)'); print('Using cached x')"
)


@pytest.fixture(autouse=True)
def venv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty .venv, and a lock of two packages."""
    (tmp_path / "requirements.lock").write_text(LOCK)
    monkeypatch.setattr(setup_venv, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(setup_venv, "VENV", tmp_path / ".venv")
    return tmp_path / ".venv"


def test_it_says_how_many_packages_of_the_lock_are_there(
    venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each once, however often an installer names it; then how many of them stand in .venv."""
    installer = subprocess.Popen([sys.executable, "-c", COLLECTS], stdout=subprocess.PIPE, text=True)
    progress = Progress(installer)
    while progress.wait() is None:
        pass
    progress.end()
    progress.tell()
    (venv / "lib/python3.11/site-packages/grpcio-1.85.1.dist-info").mkdir(parents=True)
    progress.tell()
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(",")[0] for line in lines] == [
        "setup: 1 of 2 packages downloaded",
        "setup: 1 of 2 packages installed",
    ]


def test_what_the_installer_itself_says_stays_short(capfd: pytest.CaptureFixture[str]) -> None:
    """Its many lines are counted and not shown; what is wrong is, and ends the setup."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_with_progress(sys.executable, "-c", f"{COLLECTS}; import sys; sys.exit('no such package')")
    assert failed.value.returncode == 1
    assert capfd.readouterr() == ("", "no such package\n")
