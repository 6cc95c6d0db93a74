"""The seconds per room are those of every test in it, with set-up and clean-up."""

from typing import Literal

import pytest

from tests import durations


def report(nodeid: str, when: Literal["setup", "call", "teardown"], seconds: float) -> pytest.TestReport:
    return pytest.TestReport(nodeid, (nodeid, 0, ""), {}, "passed", None, when, duration=seconds)


REPORTS = [
    report("tests/store/test_a.py::test_x", "setup", 0.5),
    report("tests/store/test_a.py::test_x", "call", 1.0),
    report("tests/vendors/kie/test_b.py::test_y[a/b]", "call", 4.0),
    report("tests/vendors/kie/test_b.py::test_y[a/b]", "teardown", 0.25),
    report("tests/test_ready.py::test_z", "call", 0.125),
]


def test_a_room_is_a_folder_of_the_tests_and_every_phase_counts() -> None:
    assert durations.per_room(REPORTS) == {"tests/store": 1.5, "tests/vendors": 4.25, "tests": 0.125}


def test_the_longest_comes_first_and_the_sum_last() -> None:
    told = [line.split() for line in durations.lines(durations.per_room(REPORTS))]
    assert told == [["tests/vendors", "4.2"], ["tests/store", "1.5"], ["tests", "0.1"], ["all", "5.9"]]
