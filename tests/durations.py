"""How long the tests of each room took, printed when all are over: docs/measured.md has it from here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

import pytest

HEADING = "seconds per room"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table, where tests of more than one room ran."""
    reports = (report for several in terminalreporter.stats.values() for report in several)
    seconds = per_room(report for report in reports if isinstance(report, pytest.TestReport))
    if len(seconds) > 1:
        terminalreporter.section(HEADING)
        for line in lines(seconds):
            terminalreporter.write_line(line)


def per_room(reports: Iterable[pytest.TestReport]) -> Mapping[str, float]:
    """Sum the seconds of ``tests/ROOM/…``, of set-up and clean-up too, whichever process spent them."""
    seconds = defaultdict[str, float](float)
    for report in reports:
        folders = report.nodeid.partition("::")[0].split("/")[:-1]
        seconds["/".join(folders[:2]) or "."] += report.duration
    return seconds


def lines(seconds: Mapping[str, float]) -> Iterator[str]:
    """Yield a line per room, the longest first, then the sum."""
    for room, took in sorted(seconds.items(), key=lambda each: -each[1]):
        yield f"{room:<20}{took:>8.1f}"
    yield f"{'all':<20}{sum(seconds.values()):>8.1f}"
