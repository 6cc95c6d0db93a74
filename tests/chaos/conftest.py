"""The matrix is printed when the tests are over."""

from collections import Counter
from collections.abc import Callable

import pytest

PROPERTY = "chaos cell"
Note = Callable[[str, str], None]


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Say which cell of the matrix a test is."""
    return lambda row, endpoint: record_property(PROPERTY, (row, endpoint))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print adapter × endpoint with the cells that passed, and their sum."""
    passed, total = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for outcome in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(outcome, ()):
            for place in (value for name, value in report.user_properties if name == PROPERTY):
                total[place] += 1
                passed[place] += outcome == "passed"
    if total:
        terminalreporter.section("vendor chaos matrix: cells passed/total")
        for line in _table(passed, total):
            terminalreporter.write_line(line)


def _table(passed: Counter[tuple[str, str]], total: Counter[tuple[str, str]]) -> list[str]:
    endpoints = list(dict.fromkeys(endpoint for _, endpoint in total))
    lines = [_line("", endpoints)]
    for row in dict.fromkeys(row for row, _ in total):
        counts = [(passed[row, endpoint], total[row, endpoint]) for endpoint in endpoints]
        lines.append(_line(row, [f"{good}/{count}" if count else "-" for good, count in counts]))
    return [*lines, f"chaos: {passed.total()}/{total.total()} cells"]


def _line(first: str, rest: list[str]) -> str:
    return f"{first:<12}" + "".join(f"{each:>11}" for each in rest)
