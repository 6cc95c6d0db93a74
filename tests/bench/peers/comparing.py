"""What is made of the turns: our rate beside each peer's, and what we cost held against its goals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial

from tests.bench.figures import Figure, Goal, counted
from tests.bench.peers.contenders import ALONE, OURS
from tests.bench.pictures import Picture

MANY = {"noise": 16, "png": 8}
"""With how many callers what an edit of a picture costs is held against a goal."""
RATE_GOAL = Goal(bound=1.9)
PROCESSOR_GOALS = {"noise": Goal(bound=5, at_most=True), "png": Goal(bound=31, at_most=True)}
ALONE_GOAL = Goal(bound=8, at_most=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What one turn of edits brought.

    The processor time is that of an edit, in ms: the server's, with its workers, and the client's.
    """

    per_second: float
    server_ms: float
    client_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """What a contender did with one picture and so many callers, round by round."""

    picture: Picture
    callers: int
    contender: str
    turns: tuple[Turn, ...]

    def values(self, what: str) -> tuple[float, ...]:
        """Return a field of each turn."""
        return tuple(getattr(turn, what) for turn in self.turns)

    def as_json(self) -> dict[str, object]:
        """Return the raw figures."""
        told = {field.name: self.values(field.name) for field in fields(Turn)}
        return {"picture": self.picture.name, "callers": self.callers, "contender": self.contender, **told}


def figures_of(matches: Sequence[Match]) -> Iterator[Figure]:
    """Compare our rate with each peer's; hold what we cost against its goals."""
    for mine in matches:
        if mine.contender == OURS:
            yield from _compared(mine, matches)
    for mine in matches:
        if mine.contender == OURS:
            yield from _costs(mine)


def _compared(mine: Match, matches: Sequence[Match]) -> Iterator[Figure]:
    for other in matches:
        if (other.picture, other.callers) != (mine.picture, mine.callers) or other.contender in {OURS, ALONE}:
            continue
        held = other.contender == "LiteLLM" and MANY.get(mine.picture.key) == mine.callers
        yield Figure(
            measurement="peers",
            name=f"edits of {mine.picture.name}, {counted(mine.callers, 'caller')} / {other.contender}",
            unit="edits/s",
            ours=mine.values("per_second"),
            baseline=other.values("per_second"),
            goal=RATE_GOAL if held else None,
        )


def _costs(mine: Match) -> Iterator[Figure]:
    cost = partial(Figure, measurement="peers", unit="ms")
    callers = counted(mine.callers, "caller")
    if mine.callers == MANY.get(mine.picture.key):
        yield cost(
            name=f"processor time of an edit of {mine.picture.name}, {callers}",
            ours=mine.values("server_ms"),
            goal=PROCESSOR_GOALS[mine.picture.key],
        )
    if (mine.picture.key, mine.callers) == ("noise", 1):
        yield cost(
            name=f"edit of {mine.picture.name}, p50, {callers}", ours=mine.values("p50_ms"), goal=ALONE_GOAL
        )
