"""Compiles requirements.lock from pyproject.toml: every extra and the dev group, with hashes and no address.

`make lock` runs it with the machine's own Python, so it needs the standard library only.
Versions already locked stay as long as pyproject.toml allows them; `--upgrade` takes the newest of all.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN_UV = ROOT / ".venv-lock"

COMPILE = (
    "pip compile pyproject.toml --all-extras --group dev --output-file requirements.lock --quiet "
    "--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"
)


def main() -> None:
    """Compile, with the options of the command line added."""
    environment = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    command = [shutil.which("uv") or own_uv(), *COMPILE.split(), *sys.argv[1:]]
    sys.exit(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)


def own_uv() -> str:
    """Path of a uv installed for this alone, where none is on PATH."""
    uv = OWN_UV / "bin" / "uv"
    if not uv.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", OWN_UV], check=True)
        subprocess.run([OWN_UV / "bin" / "pip", "install", "--quiet", "uv"], check=True)
    return str(uv)


if __name__ == "__main__":
    main()
