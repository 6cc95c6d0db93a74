"""The long storm: ``python -m tests.storm`` kills real servers some hundred times and says what came of it.

First the servers get the known bugs, each of which must be found; then comes the honest server, in which
nothing may be, whatever a noisy neighbour and a stranger do to it all the time. Exits with 1 when either is
not so, or when those two were not heard.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from tests.storm.bugs import BUGS
from tests.storm.storms import figures_of, found_bugs, live_through, storm_with, storms, summed, unheard

AT_ONCE = 2
STORMS = 20
RANDOM_KILLS = 8


def main() -> int:
    """Run both halves and print the table."""
    given = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="imageedit-storm-"))
    _say(f"seed {given.seed}, files in {folder}")
    found = asyncio.run(_bugs(folder)) if not given.no_bugs else []
    planned = [
        replace(storm, alone=given.alone)
        for storm in storms(given.seed, given.storms, random_kills=RANDOM_KILLS, cold=True)
    ]
    report = summed(asyncio.run(live_through(folder, planned, at_once=given.at_once, told=_say)))
    table = figures_of(report)
    if not given.no_bugs:
        table = {"planted bugs found": f"{len(found)}/{len(BUGS)}", **table}
    width = max(map(len, table))
    _say("")
    for name, value in table.items():
        _say(f"{name:<{width}}  {value}")
    missed = [] if given.no_bugs else sorted(set(BUGS) - set(found))
    for bug in missed:
        _say(f"not found: a server that {bug}")
    silent = [] if given.alone else unheard(report)
    for what in silent:
        _say(f"never came through, so that nothing is proved: {what}")
    return 1 if report.found or missed or silent else 0


async def _bugs(folder: Path) -> list[str]:
    reports = await live_through(folder, map(storm_with, BUGS), at_once=AT_ONCE)
    return found_bugs(BUGS, reports)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="the same seed plans the same kills")
    parser.add_argument(
        "--storms", type=int, default=STORMS, help="each kills at every point once and some more"
    )
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many servers storm at a time")
    parser.add_argument("--no-bugs", action="store_true", help="leave the planted bugs out")
    parser.add_argument(
        "--alone", action="store_true", help="without a noisy neighbour and a stranger, to compare"
    )
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
