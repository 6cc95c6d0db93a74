"""What tests measured, printed when they are all over, whichever process ran them.

A test asks for the fixture ``figures`` and notes a line under a heading, or counts itself in a table::

    def test_storm(figures: Figures) -> None:
        figures.line("crash storm", f"kills: {kills}, lost tasks: {lost}")

    def test_cell(cell: Cell, figures: Figures) -> None:
        figures.cell("vendor chaos matrix", cell.row, cell.endpoint)

At the end stand the lines of each heading in the order in which their tests ended, and after them its table,
which shows of how many tests in a cell how many passed, with their sum. A figure is noted whether or not its
test passes: nothing is asserted here. Figures travel in ``user_properties`` of a test's report, which
pytest-xdist hands to the process that prints.
"""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

LINE, CELL = "figure: line", "figure: cell"


class Figures:
    """Takes the figures of one test."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def line(self, heading: str, text: str) -> None:
        """Print a line under ``heading``."""
        self._record(LINE, [heading, text])

    def cell(self, heading: str, row: str, column: str) -> None:
        """Count this test in the table under ``heading``, as one that passed if it does."""
        self._record(CELL, [heading, row, column])


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Take figures."""
    return Figures(record_property)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print all figures."""
    sections: dict[str, _Section] = {}
    for passed, report in _ended(terminalreporter):
        for kind, value in report.user_properties:
            if kind in (LINE, CELL) and isinstance(value, list):
                sections.setdefault(value[0], _Section()).add(value[1:], passed)
    for heading, section in sections.items():
        terminalreporter.section(heading)
        for line in section.lines():
            terminalreporter.write_line(line)


def _ended(reporter: pytest.TerminalReporter) -> Iterator[tuple[bool, pytest.TestReport]]:
    """Yield the report of each test once; one that passed and broke off after it did not pass."""
    reports = {
        report.nodeid: (outcome == "passed", report)
        for outcome in ("passed", "failed", "error")
        for report in reporter.stats.get(outcome, ())
        if isinstance(report, pytest.TestReport)
    }
    yield from reports.values()


class _Section:
    def __init__(self) -> None:
        self._texts: list[str] = []
        self._passed, self._total = Counter[tuple[str, str]](), Counter[tuple[str, str]]()

    def add(self, figure: list[str], passed: bool) -> None:
        if len(figure) == 1:
            self._texts += figure
        else:
            row, column = figure
            self._total[row, column] += 1
            self._passed[row, column] += passed

    def lines(self) -> Iterator[str]:
        yield from self._texts
        if not self._total:
            return
        columns = list(dict.fromkeys(column for _, column in self._total))
        yield _aligned("", columns)
        for row in dict.fromkeys(row for row, _ in self._total):
            counts = [(self._passed[row, column], self._total[row, column]) for column in columns]
            yield _aligned(row, [f"{good}/{count}" if count else "-" for good, count in counts])
        yield f"passed: {self._passed.total()}/{self._total.total()}"


def _aligned(first: str, rest: list[str]) -> str:
    return f"{first:<12}" + "".join(f"{each:>11}" for each in rest)
