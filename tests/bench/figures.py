"""What was measured: figures in rounds, their goals, and how they are told."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The bound that a figure is held against."""

    bound: float
    at_most: bool = False

    def score(self, result: float) -> float:
        """Return how well ``result`` does: 1 just meets the goal, 2 is twice as good."""
        return self.bound / result if self.at_most else result / self.bound

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.bound:g}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table: a value of ours per round, and the baseline's beside it where there is one.

    What counts, and has the goal, is the ratio of the two; without a baseline, or where it is only there to
    compare (``absolute``), it is our value itself.
    """

    measurement: str
    name: str
    unit: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...] = ()
    goal: Goal | None = None
    absolute: bool = False

    @property
    def is_ratio(self) -> bool:
        """Whether what counts is the ratio to the baseline."""
        return bool(self.baseline) and not self.absolute

    @property
    def results(self) -> tuple[float, ...]:
        """What counts of each round: the ratio of neighbours in time, so that the machine's load cancels."""
        if not self.is_ratio:
            return self.ours
        return tuple(ours / baseline for ours, baseline in zip(self.ours, self.baseline, strict=True))

    @property
    def result(self) -> float:
        """The median of the rounds."""
        return median(self.results)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        return self.goal.score(self.result) >= 1 if self.goal else None

    @property
    def is_tie(self) -> bool:
        """Whether the rounds do not agree on who was better."""
        return self.is_ratio and min(self.results) < 1 < max(self.results)

    @property
    def verdict(self) -> str:
        """What is to be said of it: ``met`` or ``missed`` where there is a goal, and ``tie``."""
        goal = {True: "met", False: "missed", None: ""}[self.met]
        return ", ".join(filter(None, (goal, "tie" if self.is_tie else "")))

    def as_json(self) -> dict[str, object]:
        """Return the raw figures and what was made of them."""
        return {
            "measurement": self.measurement,
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "baseline": self.baseline,
            "result": self.result,
            "spread": [min(self.results), max(self.results)],
            "goal": str(self.goal) if self.goal else None,
            "met": self.met,
            "tie": self.is_tie,
        }


@dataclass(frozen=True)
class Turn:
    """What one turn brought: how many per second, and the server's processor time for each."""

    per_second: float
    processor_micros: float


def compared(
    measurement: str, name: str, what: str, ours: Sequence[Turn], baseline: Sequence[Turn], goal: Goal | None
) -> list[Figure]:
    """Return two lines: how many of ``what`` per second, which has the goal, and what each cost."""
    rate = Figure(
        measurement=measurement,
        name=name,
        unit=f"{what}s/s",
        ours=tuple(turn.per_second for turn in ours),
        baseline=tuple(turn.per_second for turn in baseline),
        goal=goal,
    )
    processor = Figure(
        measurement=measurement,
        name=f"{name}, server's processor time",
        unit=f"µs/{what}",
        ours=tuple(turn.processor_micros for turn in ours),
        baseline=tuple(turn.processor_micros for turn in baseline),
    )
    return [rate, processor]


def counted(number: int, noun: str) -> str:
    """Say how many there are: ``1 caller``, ``64 callers``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that is no less than ``percent`` of all."""
    ranked = sorted(values)
    return ranked[max(math.ceil(len(ranked) * percent / 100) - 1, 0)]
