"""The short storm: kills everywhere, and nothing is lost, paid twice or stuck (F1 to F14)."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.figures import Figures
from tests.storm.bugs import BUGS
from tests.storm.kills import FAILPOINTS
from tests.storm.storms import (
    figures_of,
    found_bugs,
    live_through,
    parts_of,
    storm_with,
    storms,
    summed,
    unheard,
)

SEED = "short"
HEADING = "crash storm"
SHARE = 0.3
"""What neighbour and stranger send here, beside the other tests, of what they send in the long storm."""
QUICK_BUGS = [
    "pays before the intent is durable",
    "sends again what may have been taken",
    "writes row and event in two transactions",
    "forgets request_ids",
    "leaves half-written files",
]
"""Those that are found whatever the machine's pace; the long storm has them all."""


@pytest.mark.timeout(300)
async def test_kills_at_every_point_lose_nothing(tmp_path: Path, figures: Figures) -> None:
    """P1, P3, P5 to P12, beside a noisy neighbour and a stranger (P18, P25)."""
    [whole] = storms(SEED, 1, random_kills=3, cold=False)
    planned = parts_of(replace(whole, share=SHARE), 2)
    report = summed(await live_through(tmp_path, planned, at_once=2))
    for name, value in figures_of(report).items():
        figures.line(HEADING, f"{name}: {value}")
    assert report.found == []
    assert set(FAILPOINTS) <= set(report.kills)
    assert report.recovered == report.kept > 0
    assert report.tasks > 0
    assert report.events > 0
    assert unheard(report) == []


@pytest.mark.timeout(300)
async def test_planted_bugs_are_found(tmp_path: Path, figures: Figures) -> None:
    """A storm in which nothing can be found proves nothing."""
    reports = await live_through(tmp_path, map(storm_with, QUICK_BUGS), at_once=3)
    found = found_bugs(QUICK_BUGS, reports)
    figures.line(
        HEADING, f"planted bugs found: {len(found)}/{len(QUICK_BUGS)} (the long storm has {len(BUGS)})"
    )
    assert found == QUICK_BUGS
