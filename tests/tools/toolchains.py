"""The toolchains of the clients in other languages: found on PATH, with what their lock files name.

What they need comes by their own clients, `go mod download` and `npm ci`, into their own caches.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GO = ROOT / "clients/go"
GO_TOOLS = GO / "tools"
TYPESCRIPT = ROOT / "clients/typescript"
MODULES = TYPESCRIPT / "node_modules"
OLDEST_NODE = 20


class Missing(Exception):
    """A toolchain, or what it needs, is not here; the message says what."""


def must_be_here() -> bool:
    """Whether a toolchain that is missing is a failure, as it is in continuous integration, or a skip."""
    return bool(os.environ.get("CI"))


def go(module: Path = GO) -> str:
    """Return the command, when all that ``module`` needs is here. Raises ``Missing``."""
    command = _found("go")
    _fetch(module, command, "mod", "download")
    return command


def node() -> str:
    """Return the command, when all that the TypeScript client needs is here. Raises ``Missing``."""
    command, installed = _found("node"), MODULES / ".installed"
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.strip().removeprefix("v").split(".")[0]) < OLDEST_NODE:
        raise Missing(f"node is {said.strip()}; the client needs {OLDEST_NODE} or newer")
    wanted = hashlib.sha256((TYPESCRIPT / "package-lock.json").read_bytes()).hexdigest()
    if not installed.is_file() or installed.read_text(encoding="ascii") != wanted:
        _fetch(TYPESCRIPT, _found("npm"), "ci", "--prefer-offline", "--ignore-scripts")
        installed.write_text(wanted, encoding="ascii")
    return command


def _found(name: str) -> str:
    if command := shutil.which(name):
        return command
    raise Missing(f"there is no {name} on PATH")


def _fetch(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [""]
        raise Missing(f"{Path(command[0]).name} {' '.join(command[1:])} failed: {said[-1]}")
