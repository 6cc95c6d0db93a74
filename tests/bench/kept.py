"""The figures that the costs are held against: ``kept.json``, by Python and by processor.

They change in a commit of their own that says why: ``make bench ARGS=--keep`` writes those of this machine.
"""

import json
import platform
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from pathlib import Path
from statistics import median

from tests.bench.bench import Bench
from tests.bench.costs import round_of, serving_all

FILE = Path(__file__).with_name("kept.json")
BOUND = 1.25
ROUNDS = 3
ROUNDS_TO_KEEP = 5

Costs = Mapping[str, float]
Round = Callable[[Collection[str]], Awaitable[Costs]]
"""Measures these operations once."""


def kind_of_machine() -> str:
    """Return what figures are kept for: elsewhere a decoder may gain more than Python does."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")]
    version = ".".join(platform.python_version_tuple()[:2])
    return f"Python {version} on {models[0] if models else platform.machine()}"


def kept(file: Path = FILE) -> Costs | None:
    """Return the figures of this machine; None where none are kept."""
    found: Costs | None = json.loads(file.read_text(encoding="utf-8")).get(kind_of_machine())
    return found


def keep(costs: Costs, file: Path = FILE) -> None:
    """Write the figures of this machine in the place of older ones."""
    known = json.loads(file.read_text(encoding="utf-8")) | {
        kind_of_machine(): {k: round(v, 3) for k, v in costs.items()}
    }
    file.write_text(json.dumps(known, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


async def measure_to_keep(bench: Bench) -> Costs:
    """Return the medians of many rounds."""
    rounds = []
    async with serving_all(bench) as served:
        for number in range(1, ROUNDS_TO_KEEP + 1):
            bench.say(f"costs: round {number} of {ROUNDS_TO_KEEP}")
            rounds.append(await round_of(served, served.operations))
    return {name: median(each[name] for each in rounds) for name in rounds[0]}


async def best_of_three(measure: Round, held: Costs) -> dict[str, float]:
    """Return the least of each; what is within its bound the first time is not measured again."""
    best = dict(await measure(list(held)))
    for _ in range(ROUNDS - 1):
        if names := list(above(best, held)):
            again = await measure(names)
            best |= {name: min(best[name], again[name]) for name in names}
    return best


def above(costs: Costs, held: Costs) -> Iterable[str]:
    """Yield what costs too much."""
    return (name for name, cost in costs.items() if cost > BOUND * held[name])


def complaint(name: str, cost: float, held: float) -> str:
    """Return what is said of it."""
    return (
        f"{name}: {cost:.2f} times a bare echo's processor time, {cost / held:.2f} of the {held:.2f} kept,"
        f" and {BOUND} at most is allowed. `make bench ARGS=--profile` shows where the time goes. Meant?"
        " `make bench ARGS=--keep` writes new figures, for a commit of their own that says why."
    )
