"""Every vendor misbehaving in every way at every endpoint: what becomes of the task and of the money (T5)."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.cells import Cell
from tests.chaos.matrix import CELLS, GROUPS, HEADING, Matrix
from tests.figures import Figures

pytestmark = pytest.mark.timeout(600)  # the first cell of a group waits for all of them


NAMED = {f"part {number} {cell}": cell for number, group in enumerate(GROUPS) for cell in group}
"""Each group can be run by a process of its own."""


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    asked = {item.name for item in request.session.items}
    cells = [cell for name, cell in NAMED.items() if f"test_cell[{name}]" in asked]
    with asyncio.Runner() as runner:
        yield Matrix(cells, tmp_path_factory.mktemp, runner)


@pytest.mark.parametrize("cell", [pytest.param(cell, id=name) for name, cell in NAMED.items()])
def test_cell(cell: Cell, matrix: Matrix, figures: Figures) -> None:
    figures.cell(HEADING, cell.row, cell.endpoint)
    ran = matrix.ran(cell)
    assert ran.seen == cell.expected.at_pace_of(ran.seen), ran.task
    assert not ran.faults


def test_every_cell_has_a_name_of_its_own() -> None:
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
