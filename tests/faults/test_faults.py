"""Any call below Python fails during a paid edit: never paid twice, never another picture, never stuck."""

import sys
from pathlib import Path

import pytest

from tests.faults import plan
from tests.faults.loops import run
from tests.faults.place import LOST, UNPAID
from tests.figures import Figures
from tests.servers.preloading import compiler

pytestmark = pytest.mark.skipif(
    compiler() is None or sys.platform != "linux", reason="there is nothing to build the shim with"
)

HEADING = "faults below Python"


async def test_no_call_that_fails_costs_twice(tmp_path: Path, figures: Figures) -> None:
    """P5, P6. An answer is in memory alone: what loses the memory loses the picture, and these are told."""
    report = await run(tmp_path, plan.quick)
    for name, value in report.figures().items():
        figures.line(HEADING, f"{name}: {value}")
    assert report.tried
    assert {ended.verdict for ended in report.bad()} <= {LOST, UNPAID}, [*map(str, report.bad())]
