"""Runs every check, side by side: a line for each, all that failing ones say, exit code 1 if any failed.

``python -m tests.tools.run_checks NAME …`` runs those alone, as the hooks of .pre-commit-config.yaml do, and
with ``--but`` before the names all others.
"""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent

CHECKS = {
    "types": "mypy",
    "imports": "lint-imports --no-logo",
    "format": "ruff format --check",
    "lint": "ruff check --output-format concise",
    "proto format": "buf format --diff --exit-code",
    "proto lint": "buf lint",
    "proto breaking": "python -m tests.tools.check_breaking",
    "generated code": "python -m tests.tools.generate_stubs --check",
    "go stubs": "python -m tests.tools.generate_client_stubs --check go",
    "typescript stubs": "python -m tests.tools.generate_client_stubs --check typescript",
    "lock": "python -m tests.tools.check_lock",
    "licences": "python -m tests.tools.list_licences --check",
}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one check ended."""

    name: str
    passed: bool
    seconds: float
    output: str


def main() -> None:
    """Run all or those that are named, longest first, as many at a time as there are cores."""
    chosen = chosen_of(sys.argv[1:])
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        running = [pool.submit(run, name, command) for name, command in chosen.items()]
        outcomes = [report(done.result()) for done in as_completed(running)]
    failed = [outcome.name for outcome in outcomes if not outcome.passed]
    if failed:
        sys.exit(f"check: {len(failed)} of {len(chosen)} failed: {', '.join(failed)}")


def chosen_of(names: list[str]) -> dict[str, str]:
    """Return the checks of these names, after ``--but`` the others. Exits for a name that is none."""
    if names[:1] == ["--but"]:
        left_out = chosen_of(names[1:])
        return {name: command for name, command in CHECKS.items() if name not in left_out}
    if unknown := [name for name in names if name not in CHECKS]:
        sys.exit(f"check: there is no {', '.join(unknown)}; there are {', '.join(CHECKS)}")
    return {name: CHECKS[name] for name in names} or CHECKS


def run(name: str, command: str) -> Outcome:
    """Run one command of .venv/bin and keep what it says."""
    program, *arguments = command.split()
    started = time.monotonic()
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Outcome(
        name=name, passed=done.returncode == 0, seconds=time.monotonic() - started, output=done.stdout.strip()
    )


def report(outcome: Outcome) -> Outcome:
    """Print a check's line; a check that passes says nothing more, unless that it was skipped."""
    skipped = outcome.passed and outcome.output.startswith("skipped")
    word = "ok" if outcome.passed else "FAILED"
    print(
        f"check: {outcome.name:<16} {outcome.output if skipped else word} ({outcome.seconds:.1f} s)",
        flush=True,
    )
    if not outcome.passed:
        print(outcome.output, end="\n\n", flush=True)
    return outcome


if __name__ == "__main__":
    main()
