"""Builds .venv: exactly what requirements.lock names, and this project editable on top.

`make setup` runs it with the machine's own Python, so it needs the standard library only. The stamp is
written last and holds all that .venv was made from: without a matching one, .venv is built from scratch.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup-stamp"

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
    run(*install, *LOCKED, env=environment)
    run(*install, *THIS_PROJECT, env=environment)


def build_with_pip() -> None:
    """Build .venv with the machine's own venv and pip, which compiles bytecode unasked."""
    remove_venv()
    run(sys.executable, "-m", "venv", str(VENV))
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*install, *LOCKED)
    run(*install, *THIS_PROJECT)


def remove_venv() -> None:
    """Remove .venv, whole or half built."""
    if VENV.exists():
        shutil.rmtree(VENV)


def run(*command: str, env: dict[str, str] | None = None) -> None:
    """Run a command that speaks to the terminal. Raises CalledProcessError when it fails."""
    subprocess.run(command, check=True, cwd=ROOT, env=env)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; the next run starts afresh")
