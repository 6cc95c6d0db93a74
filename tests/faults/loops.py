"""Loops over one operation, as SQLite's own I/O-error loops are: in each round another call of it fails."""

import asyncio
import errno
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.control import Fault
from tests.faults.edits import EDITS
from tests.faults.place import Ended, Operations, Place
from tests.faults.plan import Trace
from tests.faults.verdicts import GOOD
from tests.servers.forks import ForkedServers
from tests.servers.preloading import compiled

SHIM = Path(__file__).with_name("shim.c")
PLACES = 4
ROUNDS_A_LINE = 250
"""After so many rounds the loop says how far it is."""

Plan = Callable[[Trace], Iterable[Fault]]
Rows = Iterator[tuple[str, Fault]]
Told = Callable[[str], None]


class NoCompiler(Exception):
    """There is nothing to build the shim with."""


@dataclass
class Report:
    """What came of all rounds. ``not_reached``: the operation was over before its call came."""

    tried: list[Ended] = field(default_factory=list)
    not_reached: int = 0
    left_out: int = 0
    """Rounds for which there was no time."""
    lost: list[str] = field(default_factory=list)
    """Pictures that had been acknowledged, and were gone after the last restart."""
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
        calls = {
            (ended.operation, ended.fault.call, ended.fault.first) for ended in self.tried if ended.fault
        }
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

    def by_fault(self) -> dict[str, str]:
        """Return how often each kind of fault had which end, of every operation."""
        ends: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for ended in self.tried:
            if ended.fault:
                error = errno.errorcode[ended.fault.error]
                started = ", started again" if ended.restarts else ""
                row = f"{ended.operation}, {ended.fault.call.name.lower()} {error}"
                ends[row][f"{ended.verdict}, {ended.story}{started}"] += 1
        return {
            row: "; ".join(f"{count} x {end}" for end, count in found.most_common())
            for row, found in sorted(ends.items())
        }


async def run(
    folder: Path,
    plan: Plan,
    *,
    bug: str = "",
    operations: Operations = EDITS,
    places: int = PLACES,
    most_seconds: float = math.inf,
    told: Told = lambda _: None,
    **settings: Any,
) -> Report:
    """Let the calls of these operations fail as planned. Raises ``NoCompiler``.

    ``bug`` is one of ``planting.BUGS`` that the servers have; ``settings`` as for ``Place``. The rounds are
    in random order, the same in every run; those that would begin after ``most_seconds`` are left out.
    """
    library = compiled(SHIM, folder)
    if library is None:
        raise NoCompiler
    report, began = Report(), time.monotonic()
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(ForkedServers("tests.faults.planting", library))
        working = [
            await stack.enter_async_context(
                _place(folder / f"place-{number}", servers, operations, bug, **settings)
            )
            for number in range(places)
        ]
        traces = await asyncio.gather(
            *(_warm(place, _share(operations, number, places)) for number, place in enumerate(working))
        )
        first = {operation: trace for found in reversed(traces) for operation, trace in found.items()}
        rows = _mixed({operation: [*plan(first[operation])] for operation in operations})
        end = began + most_seconds
        await asyncio.gather(*(_work(place, rows, report, end, told) for place in working))
        report.left_out = len([*rows])
        report.lost = [*chain(*await asyncio.gather(*(place.lost() for place in working)))]
    report.seconds = time.monotonic() - began
    return report


def _mixed(planned: Mapping[str, list[Fault]]) -> Rows:
    """Yield one of each operation in turn, in random order."""
    for faults in planned.values():
        Random(0).shuffle(faults)
    rows = ([(operation, fault) for fault in faults] for operation, faults in planned.items())
    return filter(None, chain(*zip_longest(*rows)))


def _place(folder: Path, servers: ForkedServers, operations: Operations, bug: str, **settings: Any) -> Place:
    folder.mkdir()
    return Place(folder, servers, operations, bug, **settings)


def _share(operations: Operations, number: int, places: int) -> list[str]:
    """Return what a place tries first, without a fault: all, or its share where that would take long."""
    return [*operations] if len(operations) <= places else [*operations][number::places]


async def _warm(place: Place, operations: Iterable[str]) -> dict[str, Trace]:
    """Let everything be imported; return the calls of each operation."""
    for operation in operations:
        await place.try_(operation)
    return {operation: (await place.try_(operation)).seen.trace for operation in operations}


async def _work(place: Place, rows: Rows, report: Report, end: float, told: Told) -> None:
    while time.monotonic() < end and (row := next(rows, None)):
        operation, fault = row
        ended = await place.try_(operation, fault)
        report.add(ended)
        if ended.seen.failed and ended.verdict not in GOOD:
            told(str(ended))
        if (rounds := len(report.tried) + report.not_reached) % ROUNDS_A_LINE == 0:
            told(f"{rounds} rounds")
