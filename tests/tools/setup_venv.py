"""Builds .venv: exactly what requirements.lock names, and this project editable on top.

`make setup` runs it with the machine's own Python, so it needs the standard library only. The stamp is
written last and holds all that .venv was made from: without a matching one, .venv is built from scratch.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup-stamp"

LOCKED_PACKAGE = re.compile(r"^[\w.-]+==", re.MULTILINE)
COLLECTED_PACKAGE = re.compile(r"^Collecting ([\w.-]+)")

LOCKED = ["--require-hashes", "--requirement", str(LOCK)]
THIS_PROJECT = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]


def main() -> None:
    """Bring .venv up to date; one run at a time."""
    with LOCK.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = fingerprint()
        if STAMP.exists() and STAMP.read_text() == wanted and PYTHON.exists():
            return
        started = time.monotonic()
        build()
        STAMP.write_text(wanted)
        print(f"setup: .venv is ready ({time.monotonic() - started:.0f} s)")


def fingerprint() -> str:
    """Digest of all that .venv depends on; the settings of linters in pyproject.toml are not part of it."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    made_from = {
        "python": sys.version,
        "place": str(VENV),
        "lock": LOCK.read_text(),
        "project": [pyproject.get(table) for table in ("build-system", "project", "dependency-groups")],
        "packages": pyproject.get("tool", {}).get("hatch"),
        "recipe": Path(__file__).read_text(),
    }
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()


def build() -> None:
    """Build with uv where it is on PATH; pip also steps in where uv does not know the user's index."""
    uv = shutil.which("uv")
    print(
        f"setup: building .venv with Python {sys.version.split()[0]} and {'uv' if uv else 'pip'}", flush=True
    )
    if uv:
        try:
            return build_with_uv(uv)
        except subprocess.CalledProcessError:
            print("setup: uv did not manage, trying pip", flush=True)
    try:
        build_with_pip()
    except subprocess.CalledProcessError as error:
        sys.exit(f"setup: this command failed: {' '.join(error.cmd)}")


def build_with_uv(uv: str) -> None:
    """Build .venv with `uv`, on the Python that runs this."""
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    remove_venv()
    run(uv, "venv", "--quiet", "--python", sys.executable, str(VENV), env=environment)
    install = [uv, "pip", "install", "--quiet", "--python", str(PYTHON), "--compile-bytecode"]
    run_with_progress(*install, *LOCKED, env=environment)
    run(*install, *THIS_PROJECT, env=environment)


def build_with_pip() -> None:
    """Build .venv with the machine's own venv and pip, which compiles bytecode unasked."""
    remove_venv()
    run(sys.executable, "-m", "venv", str(VENV))
    install = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    run_with_progress(*install, "--progress-bar", "off", *LOCKED)
    run(*install, "--quiet", *THIS_PROJECT)


def remove_venv() -> None:
    """Remove .venv, whole or half built."""
    if VENV.exists():
        shutil.rmtree(VENV)


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command that speaks to the terminal. Raises CalledProcessError when it fails."""
    subprocess.run(command, check=True, cwd=ROOT, env=env)


def run_with_progress(*command: str, env: dict[str, str] | None = None) -> None:
    """Run an installer; say now and then how far it is, in place of its own many lines.

    What it says on stderr is shown as it comes. Raises CalledProcessError when it fails.
    """
    installer = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
    progress = Progress(installer)
    try:
        while (code := progress.wait()) is None:
            progress.tell()
    finally:
        installer.kill()  # where a Ctrl-C reached this process alone; else it has ended
        progress.end()
    if code:
        raise subprocess.CalledProcessError(code, command)


class Progress:
    """How far an installer is, by the packages that it collects and by those that stand in .venv.

    A terminal has one line that changes every second; what is no terminal gets a line every ten.
    """

    def __init__(self, installer: "subprocess.Popen[str]") -> None:
        self._installer = installer
        self._on_terminal = sys.stdout.isatty()
        self._every_seconds = 1 if self._on_terminal else 10
        self._begun = time.monotonic()
        self._total = len(LOCKED_PACKAGE.findall(LOCK.read_text()))
        self._before = self._installed()
        self._collected: set[str] = set()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def wait(self) -> int | None:
        """Wait until there is something to tell, then return None; the exit code if the installer ended."""
        try:
            return self._installer.wait(self._every_seconds)
        except subprocess.TimeoutExpired:
            return None

    def tell(self) -> None:
        """Say how far it is."""
        installed = self._installed() - self._before
        done, word = (installed, "installed") if installed else (len(self._collected), "downloaded")
        line = f"setup: {done} of {self._total} packages {word}, {time.monotonic() - self._begun:.0f} s"
        print(f"\r{line:<60}" if self._on_terminal else f"{line}\n", end="", flush=True)

    def end(self) -> None:
        """Leave the terminal as it was."""
        self._listening.join(1)  # what it started may hold its stdout open
        if self._on_terminal:
            print(f"\r{'':<60}\r", end="", flush=True)

    def _listen(self) -> None:
        assert self._installer.stdout is not None
        with self._installer.stdout as lines:
            for line in lines:
                self._collected.update(COLLECTED_PACKAGE.findall(line))

    @staticmethod
    def _installed() -> int:
        return sum(1 for _ in VENV.glob("lib/python*/site-packages/*.dist-info"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; the next run starts afresh")
