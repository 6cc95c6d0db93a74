"""The service under everything at once, in virtual time; and whether the machine would notice (T4)."""

from pathlib import Path

import pytest

from tests.figures import Figures
from tests.machine.book import EDGES
from tests.machine.machine import Tally
from tests.machine.running import hunt, run_machine, summary

HEADING = "state machine"
EXAMPLES = 80
MOST_EDGES = len(EDGES) - 2
"""How many edges a run must cover whatever changes in the service; the figures tell how many it did."""
QUICK = (
    *("sends_again_after_a_crash", "pays_before_the_intent", "cancels_for_free"),
    *("gives_up_without_a_descriptor", "ends_work_by_the_wall_clock", "compares_no_token"),
)
"""Mutants that are found within a few examples; ``python -m tests.machine`` hunts all of them."""


@pytest.mark.timeout(600)
def test_the_service_keeps_its_promises(tmp_path: Path, figures: Figures) -> None:
    tally = Tally()
    run_machine(tmp_path, tally, examples=EXAMPLES)
    figures.line(HEADING, summary(tally))
    assert len(tally.edges) >= MOST_EDGES
    assert tally.faults
    assert tally.crashes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_found(name: str, tmp_path: Path, figures: Figures) -> None:
    found = hunt(tmp_path, name)
    figures.line(HEADING, f"mutant {name}: found after {found} examples")
    assert found
