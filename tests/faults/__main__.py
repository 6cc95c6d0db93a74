"""Every call of a paid edit fails in every way: ``python -m tests.faults [--quick]``.

Real servers with ``shim.c`` below them. Exits with 1 when a picture that was paid for is lost, or a row ends
otherwise than it must.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from tests.faults import plan
from tests.faults.loops import NoCompiler, run


def main() -> int:
    """Run it, print the figures and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the rows of make test")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="imageedit-faults-"))
    print(f"faults, in {folder}", flush=True)
    try:
        report = asyncio.run(run(folder, plan.quick if given.quick else plan.storm, told=_say))
    except NoCompiler:
        print("faults: SKIPPED, there is no C compiler (cc, gcc or clang) to build the shim with")
        return 0
    table = report.figures()
    width = max(map(len, table))
    for name, value in table.items():
        _say(f"{name:<{width}}  {value}")
    if report.bad():
        return 1
    shutil.rmtree(folder)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
