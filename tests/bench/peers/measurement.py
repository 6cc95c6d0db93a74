"""Edits of three pictures by few and many callers: how fast, at what cost, through each contender in turn."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial

from tests.bench.bench import Bench
from tests.bench.figures import Figure, Goal, counted, percentile
from tests.bench.peers.client import Edit
from tests.bench.peers.comparing import Match, Turn, figures_of
from tests.bench.peers.contenders import Contender, LeftOut, Opening, ours, vendor
from tests.bench.pictures import Picture, jpeg_photograph, png_photograph, small_noise
from tests.bench.processes import MIB

MEMORY_GOAL = Goal(bound=220, at_most=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """All matches, and the figures that were made of them."""

    matches: list[Match]
    figures: list[Figure]


async def measure(bench: Bench, peers: Sequence[Opening]) -> Measured:
    """Compare us with those peers that are there."""
    png, jpeg = png_photograph(1024 // bench.scale.shrunk), jpeg_photograph(2048 // bench.scale.shrunk)
    pictures = (small_noise(), png, jpeg)
    async with vendor(bench, pictures) as alone:
        start = Start(bench=bench, vendor=alone.server.address, pictures=pictures)
        async with AsyncExitStack() as stack:
            opened = await _opened(stack, start, [ours, *peers])
            matches = [
                match
                for picture in pictures
                for callers in bench.scale.peer_callers
                for match in await _matches(bench, picture, callers, [*opened.values(), alone])
            ]
            memory = list(_memory(list(opened.values())))
        starts = await _starts(start, {opening: one.name for opening, one in opened.items()})
    return Measured(matches=matches, figures=[*figures_of(matches), *memory, *starts])


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a contender is started with."""

    bench: Bench
    vendor: str
    pictures: Sequence[Picture]

    def __call__(self, opening: Opening) -> AbstractAsyncContextManager[Contender]:
        """Start it."""
        return opening(self.bench, self.vendor, self.pictures)

    async def seconds(self, opening: Opening) -> float:
        """Start it, and return how long it took to be ready."""
        async with self(opening) as contender:
            return contender.server.ready_seconds


async def _opened(
    stack: AsyncExitStack, start: Start, openings: Sequence[Opening]
) -> dict[Opening, Contender]:
    """Start those that are there, and say why of the others."""
    opened = {}
    for opening in openings:
        try:
            opened[opening] = await stack.enter_async_context(start(opening))
        except LeftOut as error:
            start.bench.say(str(error))
    return opened


async def _starts(start: Start, names: Mapping[Opening, str]) -> list[Figure]:
    """Compare the time from command to ready, with each peer's."""
    if len(names) == 1:
        return []
    warm = replace(start.bench, scale=replace(start.bench.scale, warm_ups=0))
    starting = [partial(start.seconds, opening) for opening in names]
    try:
        mine, *others = await warm.alternate("peers, start", *starting, rounds=warm.scale.starts)
    except LeftOut as error:
        warm.say(f"No starts are compared: {error}")
        return []
    figure = partial(Figure, measurement="peers", unit="s", ours=mine)
    return [
        figure(name=f"command to ready / {name}", baseline=baseline)
        for name, baseline in zip(list(names.values())[1:], others, strict=True)
    ]


async def _matches(
    bench: Bench, picture: Picture, callers: int, contenders: Sequence[Contender]
) -> list[Match]:
    turns = await bench.alternate(
        f"peers, {picture.name}, {counted(callers, 'caller')}",
        *(partial(_turn, contender, picture, callers, bench.scale.peer_seconds) for contender in contenders),
    )
    return [
        Match(picture=picture, callers=callers, contender=contender.name, turns=taken)
        for contender, taken in zip(contenders, turns, strict=True)
    ]


async def _turn(contender: Contender, picture: Picture, callers: int, seconds: float) -> Turn:
    """Let so many callers edit again and again, each as soon as it has its picture."""
    took: list[float] = []
    async with _callers(contender, picture, callers) as edits:
        busy, mine = contender.server.family_seconds(), time.process_time()
        started = time.perf_counter()
        await asyncio.gather(*(_call(edit, started + seconds, took) for edit in edits))
        elapsed = time.perf_counter() - started
        mine = time.process_time() - mine
        busy = contender.server.family_seconds() - busy
    return Turn(
        per_second=len(took) / elapsed,
        server_ms=1000 * busy / len(took),
        client_ms=1000 * mine / len(took),
        p50_ms=1000 * percentile(took, 50),
        p99_ms=1000 * percentile(took, 99),
    )


@asynccontextmanager
async def _callers(contender: Contender, picture: Picture, callers: int) -> AsyncIterator[list[Edit]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(contender.caller(picture)) for _ in range(callers)]


async def _call(edit: Edit, until: float, took: list[float]) -> None:
    began = time.perf_counter()
    while began < until:
        assert await edit()
        took.append(time.perf_counter() - began)
        began = time.perf_counter()


def _memory(opened: Sequence[Contender]) -> Iterator[Figure]:
    """Where the last turns were of photographs."""
    name = "resident after work on photographs, all processes"
    resident = [contender.server.family_bytes() / MIB for contender in opened]
    yield _megabytes(name, resident[0], goal=MEMORY_GOAL)
    counted_once = [contender.server.family_proportional_bytes() / MIB for contender in opened]
    yield _megabytes(f"{name}, shared pages once", counted_once[0])
    for contender, other in zip(opened[1:], resident[1:], strict=True):
        yield _megabytes(f"{name} / {contender.name}", resident[0], other)


def _megabytes(name: str, ours: float, *other: float, goal: Goal | None = None) -> Figure:
    return Figure(measurement="peers", unit="MiB", name=name, ours=(ours,), baseline=other, goal=goal)
