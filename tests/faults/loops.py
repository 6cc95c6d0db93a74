"""Loops over one operation, as SQLite's own I/O-error loops are: in each round another call of it fails."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import chain, zip_longest
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.control import Fault
from tests.faults.edits import EDITS
from tests.faults.place import Operations, Place
from tests.faults.plan import whole
from tests.faults.report import Report
from tests.faults.things import Trace
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
        planned = {operation: [*plan(first[operation])] for operation in operations}
        report.alike.update({name: whole(first[name]) - _once(faults) for name, faults in planned.items()})
        rows = _mixed(planned)
        end = began + most_seconds
        await asyncio.gather(*(_work(place, rows, report, end, told) for place in working))
        report.no_time.update(operation for operation, _ in rows)
        report.lost = [*chain(*await asyncio.gather(*(place.lost() for place in working)))]
    report.seconds = time.monotonic() - began
    return report


def _once(faults: Iterable[Fault]) -> int:
    return sum(fault.times == 1 for fault in faults)


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
    while (time.monotonic() < end or not report.tried) and (row := next(rows, None)):
        operation, fault = row
        ended = await place.try_(operation, fault)
        report.add(ended)
        if ended.seen.failed and ended.verdict not in GOOD:
            told(str(ended))
        if report.rounds % ROUNDS_A_LINE == 0:
            told(f"{report.rounds} rounds")
