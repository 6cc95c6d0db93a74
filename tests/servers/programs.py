"""Programs that tests start: what they are called, what they inherit, how one runs to its end."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("imageedit-server")
CLIENT_COMMAND = COMMAND.with_name("imageedit")
PATIENCE_SECONDS = 90.0

READY = re.compile(r"ready(?: (?:grpc|http)=\S+:[1-9][0-9]*)+\n")
"""What a server prints when it serves: where."""

ANY_PORT = "127.0.0.1:0"

_KEPT = "IMAGEEDIT_LOOP"
"""Which event loop all of a run is on, tests and servers."""
_LEFT_OUT = ("IMAGEEDIT_", "GRPC_VERBOSITY", "PYTHONDONTWRITEBYTECODE")
"""A setting, ours to set, and what makes each start compile anew."""


def environment(failpoint: str = "", more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a program inherits: the environment of this process without what a test must not depend on.

    ``failpoint`` is where it kills itself: ``submit_after_reply``, or ``submit_after_reply:kill:3`` for the
    third time that it comes by.
    """
    ours = {
        name: value for name, value in os.environ.items() if name == _KEPT or not name.startswith(_LEFT_OUT)
    }
    how = failpoint if ":" in failpoint or not failpoint else f"{failpoint}:kill"
    return {**ours, **({"IMAGEEDIT_FAILPOINT": how} if how else {}), **(more or {})}


def serve_arguments(
    config: Path | None, data_dir: Path, *, listen: str = ANY_PORT, http_listen: str = ANY_PORT
) -> list[str]:
    """Return the arguments with which ``imageedit-server`` serves."""
    return [
        "serve",
        *(("--config", str(config)) if config else ()),
        *("--data-dir", str(data_dir), "--listen", listen, "--http-listen", http_listen),
    ]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a program said until its end; ``code`` is negative for a signal."""

    code: int
    out: str
    err: str


async def run_to_end(
    *command: str | Path,
    stdin: str = "",
    cwd: Path | None = None,
    variables: Mapping[str, str] | None = None,
    patience_seconds: float | None = PATIENCE_SECONDS,
) -> Ran:
    """Run a program that ends by itself. ``variables`` are its whole environment, else it inherits ours."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=cwd, env=variables
    )
    try:
        async with asyncio.timeout(patience_seconds):
            out, err = await process.communicate(stdin.encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return Ran(code=process.returncode, out=out.decode(), err=err.decode())
