"""What holds for all tests: figures at the end, the same examples every time, and who runs where and when.

Tests run in several processes (``make test``, pytest-xdist): those of a file in one, so that what its
fixtures have built is built once. A long file is split by parameter ids that begin with ``part N``.

Hypothesis draws the same examples in every run. ``pytest --hypothesis-profile=random`` draws new ones.
"""

import asyncio
import gc
import re
from collections.abc import Callable, Generator

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from imageedit_server.process import loop_factory
from tests.folders import in_memory
from tests.servers.signals import stop_ignoring_signals

pytest_plugins = ["tests.figures", "tests.durations"]

in_memory()  # before pytest makes its folder

stop_ignoring_signals()  # before there are processes that run tests, and programs that tests start

LAST = ("tests/client/test_client_loops.py",)
"""Many event loops, closed under gRPC's calls: its one poller of the process may wake none of the others."""
LONGEST_FIRST = (
    "tests/faults/test_faults.py",
    "tests/storm/test_storm.py",
    "tests/machine/test_machine.py",
    "tests/powerloss/test_powerloss.py",
    "tests/sandbox/test_bombs.py",
    "tests/sandbox/test_pool.py",
    "tests/rpc/test_fuzz.py",
    "tests/chaos/test_crashes.py",
    "tests/providers/test_foreign.py",
    "tests/rpc/test_watch.py",
    "tests/conformance/test_conformance.py",
    "tests/bench/test_bench.py",
    "tests/bench/test_costs.py",
    "tests/fuzz/test_fuzz.py",
    "tests/history/test_checker.py",
    "tests/store/test_migrations.py",
    "tests/store/test_old_data.py",
)
"""The files that take longest: whoever begins one last would keep all others waiting."""
WAITING = "tests/chaos/test_matrix.py"
"""Its parts wait more than they work: one has others beside it that work, not its own kind."""

settings.register_profile(
    "steady",
    derandomize=True,
    database=None,
    deadline=None,  # as everywhere here: being slow is no failure
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("random", settings.get_profile("steady"), derandomize=False, print_blob=True)
settings.load_profile("steady")


PART = re.compile(r"\[part ([0-9]+) ")


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist comes without types
    """Keep the tests of a file together, or of a part of it."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, test = nodeid.partition("::")
        part = PART.search(test)
        return path + part[0] if part else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FileScheduling:
    """Hand out files."""
    return FileScheduling(config, log)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on the loop that a server would have."""
    return {"the server's": loop_factory()}


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Write half characters, which tests log and compare, in a way that can go from process to process."""
    return _sendable((yield))


def _sendable(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_sendable(key): _sendable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_sendable, value))
    return value


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and behind all others what the process may not get over."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(test: str) -> int:
    path = test.partition("::")[0]
    if path in LAST:
        return len(LONGEST_FIRST) + 1
    if path == WAITING:
        part = PART.search(test)
        return int(part[1]) if part else 0
    return LONGEST_FIRST.index(path) if path in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what stays: half a million objects, each time that it looks."""
    gc.collect()
    gc.freeze()
