"""Any call below Python fails once: what was paid for comes home (P5, P6, P31); what is told, stays (P1)."""

import errno
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.control import Call, Fault
from tests.faults.edits import EDITS, Edit
from tests.faults.loops import run
from tests.faults.operations import ALL, WINDOW_SECONDS
from tests.faults.place import Operations
from tests.faults.report import Report
from tests.faults.things import Trace
from tests.faults.transfers import Upload
from tests.faults.verdicts import GONE, LOST
from tests.figures import Figures
from tests.servers.preloading import compiler

pytestmark = pytest.mark.skipif(
    compiler() is None or sys.platform != "linux", reason="there is nothing to build the shim with"
)

HEADING = "faults below Python"
MOST_SECONDS = 40.0
MOST_SECONDS_OF_OTHERS = 13.0
"""A slow machine tries fewer of the calls, and says how many; make storm has all of them."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A bug, which calls bring it to light in what, and what is found then."""

    bug: str
    call: Call
    error: int
    found: str
    operations: Operations


PLANTED = (
    Planted("forgets answers", Call.FSYNC, errno.EIO, LOST, {"relay": Edit}),
    Planted("gives up without a descriptor", Call.OPEN, errno.EMFILE, LOST, {"relay": Edit}),
    Planted("passes over a failed rename", Call.RENAME, errno.EIO, GONE, {"upload": Upload}),
)


async def test_no_call_that_fails_loses_what_was_paid_for(tmp_path: Path, figures: Figures) -> None:
    """One payment, that very picture, at most a restart.

    In doubt, and told so, is what became of a call whose own connection broke, or whose intent met a
    failed fsync before anything was sent (F22).
    """
    report = await run(tmp_path, plan.quick, operations=EDITS, most_seconds=MOST_SECONDS)
    _judge(report, HEADING, figures)


async def test_no_call_that_fails_loses_what_was_acknowledged(tmp_path: Path, figures: Figures) -> None:
    """Nor does it leave a server behind that only a person mends."""
    report = await run(
        tmp_path,
        plan.quick,
        operations=ALL,
        most_seconds=MOST_SECONDS_OF_OTHERS,
        unknown_window_seconds=WINDOW_SECONDS,
    )
    _judge(report, f"{HEADING}, other operations", figures)


def _judge(report: Report, heading: str, figures: Figures) -> None:
    for name, value in report.figures().items():
        figures.line(heading, f"{name}: {value}")
    assert report.tried
    assert [*map(str, report.bad())] == []
    assert report.lost == []


@pytest.mark.parametrize("planted", PLANTED, ids=[each.bug for each in PLANTED])
async def test_a_planted_bug_is_found(planted: Planted, tmp_path: Path, figures: Figures) -> None:
    """A loop in which nothing can be lost proves nothing."""

    def one_kind(trace: Trace) -> Iterator[Fault]:
        return (
            fault for fault in plan.quick(trace) if (fault.call, fault.error) == (planted.call, planted.error)
        )

    report = await run(tmp_path, one_kind, bug=planted.bug, operations=planted.operations, places=2)
    lost = [ended for ended in report.bad() if ended.verdict == planted.found]
    figures.line(HEADING, f"planted, {planted.bug}: lost {len(lost)} of {len(report.tried)}")
    assert lost
