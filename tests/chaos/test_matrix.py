"""Every vendor misbehaving in every way at every endpoint: what becomes of the task and of the money (T5)."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos import kie_cells, openai_cells, suitme_cells
from tests.chaos.cells import Cell
from tests.chaos.conftest import Note
from tests.chaos.matrix import Matrix

CELLS = (*kie_cells.CELLS, *openai_cells.CELLS, *suitme_cells.CELLS)


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    asked = {item.name for item in request.session.items}
    cells = [cell for cell in CELLS if f"test_cell[{cell}]" in asked]
    with asyncio.Runner() as runner:
        yield Matrix(cells, tmp_path_factory.mktemp, runner)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_cell(cell: Cell, matrix: Matrix, note: Note) -> None:
    note(cell.row, cell.endpoint)
    ran = matrix.ran(cell)
    assert ran.seen == cell.expected, ran.task
    assert not ran.faults


def test_every_cell_has_a_name_of_its_own() -> None:
    assert len({str(cell) for cell in CELLS}) == len(CELLS)
