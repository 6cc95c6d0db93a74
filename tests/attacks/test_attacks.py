"""The attacks of ``make attacks``: one runs as all do, each is judged as the page says, the pages agree."""

import dataclasses
from pathlib import Path

import pytest

from tests.attacks import table
from tests.attacks.kinds import ATTACKS, GROUPS, KINDS
from tests.attacks.load import BYTES_PER_SECOND
from tests.attacks.measuring import Answers, Measured, measure
from tests.attacks.table import MEMORY_BYTES

SECONDS = 0.4
CALM = Measured(
    kind=ATTACKS[0],
    usual=Answers(seconds=[0.02] * 100),
    during=Answers(seconds=[0.03] * 100),
    sent_bytes=2_000_000,
    grown_bytes=0,
)


async def test_an_attack_is_measured(tmp_path: Path) -> None:
    """By the process that attacks, beside a caller that is answered, at the rate that was asked for."""
    rapid = ATTACKS[0]
    measured = await measure(
        tmp_path / "attack", rapid, seconds=SECONDS, bytes_per_second=BYTES_PER_SECOND, connections=1
    )
    assert measured.ended is None
    assert not [*measured.usual.errors, *measured.during.errors]
    assert 0 < measured.sent_bytes <= 2 * SECONDS * BYTES_PER_SECOND
    assert table.row(measured, 1)[0] == rapid.name


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"ended": -9}, "the server ended with -9"),
        ({"during": Answers(seconds=[0.03], errors=["UNAVAILABLE x"])}, "1 errors (UNAVAILABLE x)"),
        ({"during": Answers(seconds=[0.03] * 50 + [0.21] * 50)}, "slow answers"),
        ({"grown_bytes": MEMORY_BYTES + 1}, "memory"),
    ],
    ids=["death", "error", "slow", "memory"],
)
def test_what_does_not_hold_is_seen(change: dict[str, object], word: str) -> None:
    assert table.faults(dataclasses.replace(CALM, **change)) == [word]  # type: ignore[arg-type]
    assert table.row(dataclasses.replace(CALM, **change), 3)[-1] == f"no: {word}"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("usual", "during"), [(0.02, 0.2), (0.0001, 0.2)], ids=["ten times", "what a scheduler adds"]
)
def test_what_holds_is_no_fault(usual: float, during: float) -> None:
    calm = dataclasses.replace(CALM, usual=Answers(seconds=[usual]), during=Answers(seconds=[during]))
    assert (table.faults(calm), table.row(calm, 2)[-1]) == ([], "yes, try 2")


# The pages


def test_the_page_has_every_attack_and_the_controls() -> None:
    assert list(table.rows_of(table.PAGE.read_text())) == list(KINDS)
    assert {kind.group for kind in ATTACKS} == set(GROUPS)


def test_the_readme_says_what_the_page_comes_to() -> None:
    """If this fails after a change by hand, ``table.write`` has both from the same figures."""
    assert table.readme_table() == table.summary(table.rows_of(table.PAGE.read_text()))
