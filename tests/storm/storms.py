"""Which storms there are to live through, and what is said of them."""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import quantiles

from tests.servers.forks import ForkedServers
from tests.storm.arena import Arena, Report, Storm
from tests.storm.bugs import BUGS
from tests.storm.checks import CHECKS
from tests.storm.kills import Kill, fault_of, plan
from tests.storm.traffic import MIB

BUG_PATIENCE_SECONDS = 10.0

Told = Callable[[str], None]


def storms(seed: str, count: int, *, random_kills: int, cold: bool) -> list[Storm]:
    """Return ``count`` storms, each with every point once."""
    names = [f"{seed}-{number}" for number in range(count)]
    return [
        Storm(seed=name, kills=plan(Random(name), rounds=1, random_kills=random_kills, cold=cold))
        for name in names
    ]


def parts_of(storm: Storm, count: int) -> list[Storm]:
    """Share the kills of a storm out among several, to run side by side."""
    return [
        replace(storm, seed=f"{storm.seed} part {part}", kills=storm.kills[part::count])
        for part in range(count)
    ]


def storm_with(bug: str) -> Storm:
    """Return the storm that must bring a bug to light."""
    known = BUGS[bug]
    return Storm(
        seed=bug,
        kills=[Kill(point=point, passes=known.passes, seconds=known.seconds) for point in known.points],
        kinds=known.kinds,
        cancels=known.cancels,
        bug=bug,
        alone=not known.in_company,
        patience_seconds=BUG_PATIENCE_SECONDS * (2 if known.in_company else 1),
    )


async def live_through(
    folder: Path, planned: Iterable[Storm], *, at_once: int, told: Told = lambda _: None
) -> list[Report]:
    """Run storms, ``at_once`` at a time; the reports are in the order of the storms."""
    places = asyncio.Semaphore(at_once)
    begun = time.monotonic()

    async with ForkedServers(bugs="tests.storm.bugs") as servers:

        async def one(storm: Storm) -> Report:
            async with places:
                place = Path(tempfile.mkdtemp(dir=folder))
                name = storm.bug or storm.seed
                report = await Arena(
                    place,
                    storm,
                    servers,
                    told=lambda line: told(f"{time.monotonic() - begun:7.1f} s  {name}: {line}"),
                ).run()
                for found in report.found:
                    told(f"{name}: {found.check}: {found.detail} (in {place})")
                return report

        return await asyncio.gather(*map(one, planned))


def summed(reports: Iterable[Report]) -> Report:
    """Add reports up."""
    total = Report()
    for report in reports:
        total.add(report)
    return total


def found_bugs(bugs: Iterable[str], reports: Iterable[Report]) -> list[str]:
    """Return the bugs that were found, each by the check that is there for it."""
    return [
        bug
        for bug, report in zip(bugs, reports, strict=True)
        if BUGS[bug].shows in {found.check for found in report.found}
    ]


def figures_of(report: Report) -> dict[str, str]:
    """Return what is published, by name."""
    counts = {check: sum(found.check == check for found in report.found) for check in CHECKS}
    violations = len(report.found) - sum(counts.values())
    return {
        "kills": f"{report.kills.total()} ({report.kills['at random']} at random)",
        "kills by point": ", ".join(
            f"{fault_of(point)} {point} {times}".strip()
            for point, times in sorted(report.kills.items(), key=_by_number)
        ),
        "acknowledged": f"{report.tasks} tasks, {report.uploads} uploads",
        **{check: str(count) for check, count in counts.items()},
        "SUBMIT_OUTCOME_UNKNOWN": str(report.unknown),
        "answers kept, unreadable at first": f"{report.kept}, pictures recovered: {report.recovered}",
        "recovery, kill to ready": _seconds(report.cold_recoveries),
        "recovery of a fork": _seconds(report.recoveries),
        "a neighbour sent": f"{report.neighbour}; tasks promised to it: {report.noisy_tasks}",
        "a stranger sent": str(report.stranger),
        "answers to the honest tenant": _seconds(report.answers),
        "memory, most beyond the start": f"{report.grown_bytes / MIB:.0f} MiB",
        "watch": f"{report.streams} streams, {report.resumes} resumed, {report.events} events, "
        f"{violations} violations",
    }


def unheard(report: Report) -> list[str]:
    """Return what of the neighbour and the stranger never came through: then nothing is proved."""
    wanted = {
        "a neighbour's calls": report.neighbour.answers["OK"],
        "a neighbour's calls beyond its limits": report.neighbour.answers["RESOURCE_EXHAUSTED"],
        "a neighbour's tasks": report.noisy_tasks,
        "a stranger's calls": report.stranger.answers["UNAUTHENTICATED"],
        "a stranger's callbacks": report.stranger.answers["HTTP 401"],
        "a stranger's lies with a stolen token": report.stranger.answers["HTTP 200"],
    }
    return [name for name, times in wanted.items() if not times]


def _by_number(item: tuple[str, int]) -> tuple[int, str]:
    return int(fault_of(item[0])[1:] or 99), item[0]


def _seconds(values: list[float]) -> str:
    if len(values) < 2:
        return "none"
    cuts = quantiles(values, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, max {max(values):.2f} s"
