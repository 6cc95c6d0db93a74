"""Every call of an operation fails in every way: ``python -m tests.faults [--quick]``.

Real servers with ``shim.c`` below them. Exits with 1 when a picture that was paid for or acknowledged is
lost, or a row ends otherwise than it must.
"""

import argparse
import asyncio
import math
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.faults import plan
from tests.faults.edits import EDITS
from tests.faults.loops import NoCompiler, Plan, run
from tests.faults.operations import ALL, WINDOW_SECONDS
from tests.faults.place import WINDOW_SECONDS as EDIT_WINDOW_SECONDS
from tests.faults.place import Operations
from tests.faults.report import Report


def main() -> int:
    """Run it, print the figures and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the rows of make test")
    parser.add_argument("--only", nargs="*", default=(), metavar="OPERATION", help="upload, start and so on")
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="each half leaves out what it does not come to"
    )
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="imageedit-faults-"))
    print(f"faults, in {folder}", flush=True)
    how = plan.quick if given.quick else plan.storm
    try:
        reports = asyncio.run(_run(folder, how, given.only, given.seconds))
    except NoCompiler:
        print("faults: SKIPPED, there is no C compiler (cc, gcc or clang) to build the shim with")
        return 0
    for report in reports:
        _tell(report)
    print(plan.LEFT_OUT)
    if any(report.bad() or report.lost for report in reports):
        return 1
    shutil.rmtree(folder)
    return 0


async def _run(folder: Path, how: Plan, only: Sequence[str], most_seconds: float) -> list[Report]:
    """Run both halves: the window for callbacks is shorter where many an edit waits for its end."""
    halves: Sequence[tuple[str, Operations, float]] = (
        ("edits", EDITS, EDIT_WINDOW_SECONDS),
        ("others", ALL, WINDOW_SECONDS),
    )
    reports = []
    for name, operations, window in halves:
        chosen = {each: made for each, made in operations.items() if not only or each in only}
        if chosen:
            (folder / name).mkdir()
            reports.append(
                await run(
                    folder / name,
                    how,
                    operations=chosen,
                    most_seconds=most_seconds,
                    told=_say,
                    unknown_window_seconds=window,
                )
            )
    return reports


def _tell(report: Report) -> None:
    table = {**report.figures(), **report.by_fault()}
    width = max(map(len, table))
    for name, value in table.items():
        _say(f"{name:<{width}}  {value}")
    for row in report.by_operation():
        _say(" | ".join(row))
    for image_id in report.lost:
        _say(f"gone after the last restart: {image_id}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
