"""What a claim, a get, a list and the start of a watch cost where few and where very many tasks are stored.

Beside the finished tasks, a tenth as many wait in the queue of a provider that is busy. Get, list and watch
are calls to servers on that data; a claim is timed inside the store, where nothing covers what it costs.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from imageedit.v1 import image_edit_service_pb2 as pb
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal
from tests.bench.processes import module, run_to_end
from tests.bench.stored import QUEUE, task_id, user_id

GOAL = Goal(bound=1.3, at_most=True)
EVENTS = 3
CONFIG = f"""
[providers.{QUEUE}]
adapter = "scripted"
concurrency = 1
poll_seconds = [600, 600, 600]
"""


@dataclass(frozen=True)
class _Stored:
    """A data directory with so many finished tasks."""

    folder: Path
    tasks: int


async def measure(bench: Bench) -> list[Figure]:
    """Compare the costs with those where the fewest tasks are stored."""
    filled = [await _fill(bench, tasks) for tasks in bench.scale.stored_tasks]
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(_serving(bench, stored)) for stored in filled]
        figures = []
        for name, call in CALLS.items():
            timed = await bench.alternate(
                f"growth, {name}",
                *(partial(_median_ms, partial(call, house), bench.scale.samples) for house in houses),
            )
            figures += _figures(bench, name, timed)
    claims = await bench.alternate(
        "growth, claim", *(partial(_claim_ms, bench, stored.folder) for stored in filled)
    )
    return figures + _figures(bench, "claim", claims)


def _figures(bench: Bench, name: str, timed: tuple[tuple[float, ...], ...]) -> list[Figure]:
    fewest, *others = bench.scale.stored_tasks
    return [
        Figure(
            measurement="growth",
            name=f"{name} with {tasks:,} tasks, beside {fewest:,}",
            unit="ms",
            ours=ours,
            baseline=timed[0],
            goal=GOAL,
        )
        for tasks, ours in zip(others, timed[1:], strict=True)
    ]


async def _fill(bench: Bench, tasks: int) -> _Stored:
    folder = bench.new_folder()
    claims = bench.scale.samples * (bench.scale.rounds + 1)
    numbers = [tasks, EVENTS, tasks // 10 + claims + 1]
    bench.say(f"growth: storing {tasks:,} tasks")
    await run_to_end(module("stored", str(folder / "data"), *map(str, numbers), python=bench.python))
    return _Stored(folder, tasks)


# Calls


@dataclass(frozen=True)
class _House:
    stub: Stub
    tasks: int
    random: Random

    def any_number(self) -> int:
        return self.random.randint(1, self.tasks)


@asynccontextmanager
async def _serving(bench: Bench, stored: _Stored) -> AsyncIterator[_House]:
    async with bench.ours(CONFIG, stored.folder) as ours, connected(ours.address) as stub:
        yield _House(stub, stored.tasks, Random(stored.tasks))


async def _get(house: _House) -> None:
    await house.stub.GetTask(pb.GetTaskRequest(task_id=task_id(house.any_number())))


async def _list(house: _House) -> None:
    await house.stub.ListTasks(pb.ListTasksRequest())


async def _list_of_user(house: _House) -> None:
    await house.stub.ListTasks(pb.ListTasksRequest(user_id=user_id(house.any_number())))


async def _start_watch(house: _House) -> None:
    call = house.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id(house.any_number())))
    await call.read()
    call.cancel()


CALLS: Mapping[str, Callable[[_House], Awaitable[None]]] = {
    "get": _get,
    "list": _list,
    "list of a user": _list_of_user,
    "start of a watch": _start_watch,
}


async def _median_ms(call: Callable[[], Awaitable[None]], samples: int) -> float:
    took = []
    for _ in range(samples):
        started = time.perf_counter()
        await call()
        took.append(time.perf_counter() - started)
    return 1000 * median(took)


# Claims


async def _claim_ms(bench: Bench, folder: Path) -> float:
    command = module("claiming", str(folder / "data"), str(bench.scale.samples), python=bench.python)
    return 1000 * float(await run_to_end(command))
