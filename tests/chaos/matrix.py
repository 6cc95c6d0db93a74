"""The whole matrix, run a service at a time when the first of its cells is asked for."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from tests.chaos.cells import Cell, Ran, run_cells
from tests.chaos.limits import shorten

MOST_IN_ONE_SERVICE = 120
CALLBACK = "callback"
"""The endpoint whose cells need a service that vendors can call."""


class Matrix:
    """Knows how each cell ended. Only ``cells`` are run, in folders that ``make_folder`` makes."""

    def __init__(
        self, cells: Iterable[Cell], make_folder: Callable[[str], Path], runner: asyncio.Runner
    ) -> None:
        self._groups = _groups(cells)
        self._make_folder = make_folder
        self._runner = runner
        self._ran: dict[str, Ran] = {}

    def ran(self, cell: Cell) -> Ran:
        """Return how a cell ended; run it, with its group, if that was not done."""
        if str(cell) not in self._ran:
            group = next(group for group in self._groups if cell in group)
            with pytest.MonkeyPatch.context() as monkeypatch:
                shorten(monkeypatch)
                callbacks = cell.endpoint == CALLBACK
                work = run_cells(self._make_folder(cell.row), group, monkeypatch, callbacks=callbacks)
                self._ran |= self._runner.run(work)
        return self._ran[str(cell)]


def _groups(cells: Iterable[Cell]) -> list[Sequence[Cell]]:
    kinds: dict[tuple[str, bool], list[Cell]] = {}
    for cell in cells:
        kinds.setdefault((cell.row, cell.endpoint == CALLBACK), []).append(cell)
    return [
        kind[start : start + MOST_IN_ONE_SERVICE]
        for kind in kinds.values()
        for start in range(0, len(kind), MOST_IN_ONE_SERVICE)
    ]
