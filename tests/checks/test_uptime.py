"""Nothing depends on how long the machine has been up: not the product, and no test of it."""

import sys
from subprocess import run

KEEPS_TIMES = (
    "tests/engine/test_breakers.py",
    "tests/engine/test_rules.py",  # paces
    "tests/rpc/test_limits.py::test_too_many_requests_are_refused_with_a_time",
    "tests/telemetry/test_logs.py",  # lines that are seldom logged
    "tests/telemetry/test_metrics.py::test_an_open_breaker_is_seen",
    "tests/telemetry/test_metrics.py::test_the_page_is_made_once_however_often_it_is_asked_for",
)
"""What remembers when something was, or when it may be again: 0 must be a time like any other."""


def test_what_keeps_times_works_on_a_machine_that_has_just_been_started() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "tests.young_clock", "-p", "no:cacheprovider", "-q"]
    result = run([*command, *KEEPS_TIMES], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
