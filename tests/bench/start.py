"""How long a server takes from its command to ``ready``, and what it takes when nobody calls.

The data directory is new each time. The baseline is a Python process with grpc.aio and the stubs alone.
"""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial

from tests.bench.bench import Bench
from tests.bench.figures import Figure, Goal
from tests.bench.processes import MIB
from tests.servers.processes import Server

SECONDS_GOAL = Goal(bound=0.9, at_most=True)
MEMORY_GOAL = Goal(bound=110, at_most=True)


@dataclass(frozen=True)
class _Start:
    seconds: float
    idle_mib: float


async def measure(bench: Bench) -> list[Figure]:
    """Start both again and again."""
    ours, bare = await bench.alternate("start", lambda: _start(bench.ours()), lambda: _start(bench.bare()))
    figure = partial(Figure, measurement="start", absolute=True)
    return [
        figure(
            name="command to ready",
            unit="s",
            ours=tuple(start.seconds for start in ours),
            baseline=tuple(start.seconds for start in bare),
            goal=SECONDS_GOAL,
        ),
        figure(
            name="resident when idle",
            unit="MiB",
            ours=tuple(start.idle_mib for start in ours),
            baseline=tuple(start.idle_mib for start in bare),
            goal=MEMORY_GOAL,
        ),
    ]


async def _start(server: AbstractAsyncContextManager[Server]) -> _Start:
    async with server as served:
        return _Start(served.ready_seconds, served.memory_bytes() / MIB)
