"""Runs of the machine: the same examples at every run; where a mutant is hunted, without shrinking.

Hypothesis takes constants from loaded modules too, so beside other tests a run has other examples.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from imageedit_server.engine import dispatcher
from imageedit_server.store.sqlite import group_commit
from tests.machine.book import EDGES
from tests.machine.machine import ServiceMachine, Tally
from tests.machine.mutants import MUTANTS

NEVER = 1e9
"""Seconds. The machine's own clock has no say: a run is the same on a slow machine."""
SWEEP_SECONDS = 30.0
"""The sweep is there for what no hint tells; every five seconds it is half of the work of a virtual hour."""
HUNT_EXAMPLES = 1500
STEPS = 40


def run_machine(root: Path, tally: Tally, *, examples: int, steps: int = STEPS, shrink: bool = True) -> None:
    """Run the machine in ``root`` and count in ``tally`` what it did. Raises what the judge raised."""
    machine = type("Machine", (ServiceMachine,), {"root": root, "tally": tally})
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher, "SWEEP_SECONDS", SWEEP_SECONDS)
        patch.setattr(group_commit, "MAX_GROUP_SECONDS", NEVER)
        patch.setattr(group_commit, "MAX_WAIT_SECONDS", NEVER)
        run_state_machine_as_test(machine, settings=profile)


def hunt(root: Path, name: str, *, examples: int = HUNT_EXAMPLES) -> int | None:
    """Plant a mutant; return how many examples it took to find it, None when it was not found."""
    tally = Tally()
    with pytest.MonkeyPatch.context() as patch:
        MUTANTS[name](patch)
        try:
            run_machine(root, tally, examples=examples, shrink=False)
        except AssertionError:
            return tally.examples
    return None


def summary(tally: Tally) -> str:
    """One line of what a run did."""
    covered = len(EDGES & set(tally.edges))
    return (
        f"{tally.examples} examples, {tally.steps} steps, {tally.tasks} tasks, {tally.crashes} crashes,"
        f" {sum(tally.faults.values())} vendor faults of {len(tally.faults)} kinds,"
        f" {tally.watches} watches with {tally.watched_events} messages,"
        f" {tally.virtual_seconds / 3600:.1f} virtual hours, edges {covered}/{len(EDGES)}"
    )
