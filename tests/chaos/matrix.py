"""The whole matrix, in groups of cells that share a service; the first that is asked for runs its group."""

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.chaos import kie_cells, openai_cells, suitme_cells
from tests.chaos.cells import Cell, Ran, run_cells
from tests.chaos.limits import shorten

HEADING = "vendor chaos matrix: cells passed/total"
MOST_IN_ONE_SERVICE = 120
WAITED_FOR = re.compile("hangs|drips|nobody listens|always (HTTP|page|429)|never|for ever|429 always")
"""Names of cells that some limit ends: begun first, they wait while the others are run."""
CALLBACK = "callback"
"""The endpoint whose cells need a service that vendors can call."""


def _groups(cells: Iterable[Cell]) -> list[Sequence[Cell]]:
    kinds: dict[tuple[str, bool], list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: not WAITED_FOR.search(cell.name)):
        kinds.setdefault((cell.row, cell.endpoint == CALLBACK), []).append(cell)
    return [
        kind[start : start + MOST_IN_ONE_SERVICE]
        for kind in kinds.values()
        for start in range(0, len(kind), MOST_IN_ONE_SERVICE)
    ]


CELLS = (*kie_cells.CELLS, *openai_cells.CELLS, *suitme_cells.CELLS)
GROUPS = _groups(CELLS)


class Matrix:
    """Knows how each cell ended. Only ``cells`` are run, in folders that ``make_folder`` makes."""

    def __init__(
        self, cells: Iterable[Cell], make_folder: Callable[[str], Path], runner: asyncio.Runner
    ) -> None:
        self._asked = {str(cell) for cell in cells}
        self._make_folder = make_folder
        self._runner = runner
        self._ran: dict[str, Ran] = {}

    def ran(self, cell: Cell) -> Ran:
        """Return how a cell ended; run it, with its group, if that was not done."""
        if str(cell) not in self._ran:
            group = next(group for group in GROUPS if cell in group)
            self._ran |= self._run([each for each in group if str(each) in self._asked])
        return self._ran[str(cell)]

    def _run(self, cells: Sequence[Cell]) -> dict[str, Ran]:
        with pytest.MonkeyPatch.context() as monkeypatch:
            shorten(monkeypatch)
            callbacks = cells[0].endpoint == CALLBACK
            work = run_cells(self._make_folder(cells[0].row), cells, monkeypatch, callbacks=callbacks)
            return self._runner.run(work)
