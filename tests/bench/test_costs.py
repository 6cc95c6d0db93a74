"""Nothing gets slower unseen: what operations cost is held against the figures that are kept."""

import sys
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.bench import kept
from tests.bench.__main__ import SERVER
from tests.bench.accepts import upload
from tests.bench.bench import SHORT, Bench, connected
from tests.bench.costs import Served, calling, round_of, serving_accepts, serving_all
from tests.bench.kept import FILE, above, best_of_three, complaint, keep, kind_of_machine
from tests.bench.processes import module
from tests.bench.slowed_server import SLOWED
from tests.figures import Figures

HEADING = "costs, in bare echoes"
HELD = {"accept": 4.0, "edit": 50.0}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(folder=tmp_path, scale=SHORT, server=SERVER, say=lambda line: print(line, file=sys.stderr))


async def test_no_operation_costs_more_than_is_kept(bench: Bench, figures: Figures):
    if (held := kept.kept()) is None:
        figures.line(HEADING, f"NOT HELD, none are kept: {kind_of_machine()}. `make bench ARGS=--keep` does.")
        return
    async with serving_all(bench) as served:
        assert set(served.operations) == set(held)
        costs = await best_of_three(partial(round_of, served), held)
    for name, cost in costs.items():
        figures.line(HEADING, f"{name} {cost:.2f}, kept {held[name]:.2f}")
    assert [complaint(name, costs[name], held[name]) for name in above(costs, held)] == []


async def test_planted_slowness_is_found(bench: Bench):
    """Thrice as long is seen beside whatever else the machine does."""
    program = module("slowed_server")
    async with serving_accepts(bench, program=program) as served, connected(served.ours.address) as stub:
        held = await round_of(served, served.operations, slices=2)
        user = f"{SLOWED}{round(2e6 * await _seconds(served))}"
        async with calling(served.ours, await upload(stub), user) as slowed:
            costs = await round_of(replace(served, operations={"accept": slowed}), held, slices=2)
    assert list(above(costs, held)) == ["accept"]


async def _seconds(served: Served) -> float:
    before = served.ours.family_seconds()
    done = await served.operations["accept"]()
    return (served.ours.family_seconds() - before) / done


@pytest.mark.parametrize(
    ("rounds", "measured", "best"),
    [
        ([{"accept": 5.0, "edit": 62.5}], [["accept", "edit"]], [5.0, 62.5]),
        (
            [{"accept": 5.1, "edit": 40.0}, {"accept": 6.0}, {"accept": 4.4}],
            [["accept", "edit"], ["accept"], ["accept"]],
            [4.4, 40.0],
        ),
        ([{"accept": 5.1, "edit": 70.0}, {"accept": 4.9, "edit": 69.0}, {"edit": 68.0}], None, [4.9, 68.0]),
    ],
    ids=["within at once", "within at last", "above for good"],
)
async def test_best_of_three_counts(
    rounds: list[dict[str, float]], measured: list[list[str]] | None, best: list[float]
):
    asked: list[list[str]] = []

    async def measure(names: Collection[str]) -> dict[str, float]:
        asked.append(list(names))
        return rounds[len(asked) - 1]

    assert list((await best_of_three(measure, HELD)).values()) == best
    assert measured is None or asked == measured


def test_quarter_more_is_the_bound():
    assert list(above({"accept": 5.0, "edit": 62.6}, HELD)) == ["edit"]


def test_complaint_says_what_how_much_and_what_to_do():
    said = complaint("accept", 6.0, 4.0)
    assert all(part in said for part in ("accept", "6.00", "1.50", "4.00", "--profile", "--keep"))


def test_figures_are_kept_by_kind_of_machine(tmp_path: Path):
    file = tmp_path / "kept.json"
    file.write_text('{"Python 2.7 on a PDP-11": {"accept": 1000.0}}')
    assert kept.kept(file) is None
    keep(HELD, file)
    assert kept.kept(file) == HELD
    assert "PDP-11" in file.read_text()


def test_what_is_kept_is_as_it_is_written(tmp_path: Path):
    """So that a change shows in a diff line by line."""
    copy = tmp_path / "kept.json"
    copy.write_text(FILE.read_text())
    if held := kept.kept():
        keep(held, copy)
    assert copy.read_text() == FILE.read_text()
