"""Loops over one paid edit, as SQLite's own I/O-error loops are: in each round another call of it fails."""

import asyncio
import errno
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.control import Fault
from tests.faults.place import HOME, IN_DOUBT, VENDORS, Ended, Place
from tests.faults.plan import Trace
from tests.servers.forks import ForkedServers
from tests.servers.preloading import compiled

SHIM = Path(__file__).with_name("shim.c")
PLACES = 4
ROUNDS_A_LINE = 250
"""After so many rounds the loop says how far it is."""
GOOD = (HOME, IN_DOUBT)

Plan = Callable[[Trace], Iterable[Fault]]
Rows = Iterator[tuple[str, Fault]]
Told = Callable[[str], None]


class NoCompiler(Exception):
    """There is nothing to build the shim with."""


@dataclass
class Report:
    """What came of all rounds. ``not_reached``: the edit was over before its call came."""

    tried: list[Ended] = field(default_factory=list)
    not_reached: int = 0
    left_out: int = 0
    """Rounds for which there was no time."""
    seconds: float = 0.0

    def add(self, ended: Ended) -> None:
        """Count one round."""
        if ended.seen.failed:
            self.tried.append(ended)
        else:
            self.not_reached += 1

    def bad(self) -> list[Ended]:
        """Return the rounds that did not end as they must."""
        return [ended for ended in self.tried if ended.verdict not in GOOD]

    def figures(self) -> dict[str, str]:
        """Return what is published, by name."""
        faults = [ended.fault for ended in self.tried if ended.fault]
        calls = {(ended.vendor, ended.fault.call, ended.fault.first) for ended in self.tried if ended.fault}
        errors = Counter(errno.errorcode[fault.error] for fault in faults)
        verdicts = Counter(ended.verdict for ended in self.tried)
        return {
            "calls x errnos tried": f"{len(faults)} ({len(calls)} calls; {self.not_reached} not reached, "
            f"{self.left_out} left out)",
            "by errno": ", ".join(f"{name} {count}" for name, count in sorted(errors.items())),
            **{verdict: str(count) for verdict, count in verdicts.most_common()},
            "rounds with a restart": str(sum(ended.restarts > 0 for ended in self.tried)),
            "seconds": f"{self.seconds:.0f}",
        }


async def run(
    folder: Path,
    plan: Plan,
    *,
    bug: str = "",
    vendors: Sequence[str] = VENDORS,
    places: int = PLACES,
    most_seconds: float = math.inf,
    told: Told = lambda _: None,
) -> Report:
    """Let the calls of an edit fail as planned, at these vendors. Raises ``NoCompiler``.

    ``bug`` is one of ``planting.BUGS`` that the servers have. The rounds are in random order, the same in
    every run; those that would begin after ``most_seconds`` are left out.
    """
    library = compiled(SHIM, folder)
    if library is None:
        raise NoCompiler
    report, began = Report(), time.monotonic()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(ForkedServers("tests.faults.planting", library))
        working = [
            await stack.enter_async_context(_place(folder / f"place-{number}", servers, bug))
            for number in range(places)
        ]
        traces = await asyncio.gather(*(_warm(place, vendors) for place in working))
        rounds = [(vendor, fault) for vendor, trace in traces[0].items() for fault in plan(trace)]
        Random(0).shuffle(rounds)
        rows = iter(rounds)
        end = began + most_seconds
        await asyncio.gather(*(_work(place, rows, report, end, told) for place in working))
        report.left_out = len([*rows])
    report.seconds = time.monotonic() - began
    return report


def _place(folder: Path, servers: ForkedServers, bug: str) -> Place:
    folder.mkdir()
    return Place(folder, servers, bug)


async def _warm(place: Place, vendors: Sequence[str]) -> dict[str, Trace]:
    """Let everything be imported; return the calls of an edit at each vendor."""
    for vendor in vendors:
        await place.edit(vendor)
    return {vendor: (await place.edit(vendor)).seen.trace for vendor in vendors}


async def _work(place: Place, rows: Rows, report: Report, end: float, told: Told) -> None:
    while time.monotonic() < end and (row := next(rows, None)):
        vendor, fault = row
        ended = await place.edit(vendor, fault)
        report.add(ended)
        if ended.seen.failed and ended.verdict not in GOOD:
            told(str(ended))
        if (rounds := len(report.tried) + report.not_reached) % ROUNDS_A_LINE == 0:
            told(f"{rounds} rounds")
