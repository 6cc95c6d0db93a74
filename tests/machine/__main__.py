"""The long form: more examples of the machine, then the hunt for every planted bug.

    python -m tests.machine [examples]

Prints one line of figures and one for each mutant; exits 1 when a promise is broken or a mutant lives.
"""

import contextlib
import io
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.machine.machine import Tally
from tests.machine.mutants import MUTANTS
from tests.machine.running import hunt, run_machine, summary

LONG_EXAMPLES = 500


def main() -> int:
    """Run everything; return the exit code."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else LONG_EXAMPLES
    tally = Tally()
    with TemporaryDirectory(prefix="imageedit-machine-") as folder:
        run_machine(Path(folder), tally, examples=examples)
        print(f"machine: {summary(tally)}", flush=True)
        found = sum(_report(Path(folder), name) for name in MUTANTS)
    print(f"machine: mutants {found}/{len(MUTANTS)} found")
    return 0 if found == len(MUTANTS) else 1


def _report(root: Path, name: str) -> bool:
    with contextlib.redirect_stdout(io.StringIO()):  # the story of how it was found
        examples = hunt(root, name)
    print(f"machine: {name} {f'found after {examples} examples' if examples else 'NOT FOUND'}", flush=True)
    return examples is not None


sys.exit(main())
