"""The long form: ``python -m tests.fuzz --executions 1000000 --seed 7 [--target NAME]``."""

import argparse
import asyncio
import sys

from tests.fuzz.doors import DOORS
from tests.fuzz.fuzzing import fuzz
from tests.fuzz.pictures import PICTURES
from tests.fuzz.rules import RULES
from tests.fuzz.strangers import STRANGERS

TARGETS = {target.name: target for target in (*RULES, *PICTURES, *DOORS, *STRANGERS)}


async def main() -> int:
    """Run, print a line per target, and answer how many findings there were, at most 1."""
    parser = argparse.ArgumentParser(description="Feed mutated bytes to all that strangers reach.")
    parser.add_argument("--executions", type=int, default=10_000, help="of each target")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other bytes")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="this one alone")
    given = parser.parse_args()
    found = 0
    for name in given.target or TARGETS:
        report = await fuzz(TARGETS[name], given.executions, seed=given.seed)
        print(report.line(), flush=True)
        print(*report.first, sep="\n", file=sys.stderr)
        found += report.findings
    return min(found, 1)


sys.exit(asyncio.run(main()))
