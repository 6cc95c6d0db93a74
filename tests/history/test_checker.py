"""The checker finds every planted bug in every history, and nothing in clean ones."""

from collections import Counter
from random import Random

import pytest

from tests.figures import Figures
from tests.history.checker import LOG_PROPERTIES, STREAM_PROPERTIES, violations
from tests.history.clean import clean_history
from tests.history.mutants import MUTANTS, Mutant

HEADING = "watch histories"
CLEAN_SEEDS = range(500)
MUTANT_SEEDS = range(50)


def test_clean_histories_raise_no_alarm(figures: Figures) -> None:
    """500 seeds."""
    histories = [clean_history(seed) for seed in CLEAN_SEEDS]
    alarms = [alarm for history in histories for alarm in violations(history.logs, history.streams)]
    assert alarms == []
    events = sum(history.events for history in histories)
    assert events > 50_000
    figures.line(HEADING, f"clean histories: {len(histories)}, {events} events, {len(alarms)} false alarms")


def test_every_planted_bug_is_found_on_every_seed(figures: Figures) -> None:
    """By the property that it breaks, whatever else it breaks too."""
    found: Counter[str] = Counter()
    for mutant in MUTANTS:
        for seed in MUTANT_SEEDS:
            found[mutant.name] += mutant.breaks in _broken(mutant, seed)
    planted = len(MUTANTS) * len(MUTANT_SEEDS)
    figures.line(
        HEADING, f"planted bugs found: {found.total()}/{planted} ({len(MUTANTS)} in 50 histories each)"
    )
    assert found == dict.fromkeys((mutant.name for mutant in MUTANTS), len(MUTANT_SEEDS))


@pytest.mark.parametrize("name", [*LOG_PROPERTIES, *STREAM_PROPERTIES])
def test_every_property_has_a_bug_that_only_it_is_told_to_find(name: str) -> None:
    """A property that no mutant breaks would be a check that cannot fail."""
    assert name in {mutant.breaks for mutant in MUTANTS}


def _broken(mutant: Mutant, seed: int) -> set[str]:
    history = mutant.plant(clean_history(seed), Random(seed))
    return {violation.property for violation in violations(history.logs, history.streams)}
