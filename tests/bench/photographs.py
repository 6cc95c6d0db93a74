"""How fast photographs go in and out one after the other, and what receiving and looking at them costs.

Each upload is of bytes that the service has not seen; both servers get the same. Looking at pictures is what
the workers do.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from tests.bench.accepts import upload
from tests.bench.bench import Bench, Stub, connected
from tests.bench.figures import Figure, Goal
from tests.bench.pictures import Picture, another, jpeg_photograph, png_photograph
from tests.bench.processes import MIB
from tests.bench.transfers import download
from tests.servers.processes import Server

UP_GOAL = Goal(bound=0.35)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turn:
    """Processor time is per MiB, in ms: of all processes of the server, and of its workers among them."""

    mib_per_second: float
    server_ms: float
    workers_ms: float


async def measure(bench: Bench) -> list[Figure]:
    """Compare the rates of both photographs."""
    png, jpeg = png_photograph(1024 // bench.scale.shrunk), jpeg_photograph(2048 // bench.scale.shrunk)
    async with (
        bench.ours() as ours,
        connected(ours.address) as stub,
        bench.bare() as bare,
        connected(bare.address) as bare_stub,
    ):
        doors = ((ours, stub), (bare, bare_stub))
        return [
            figure
            for picture in (png, jpeg)
            for measured in (_uploads, _downloads)
            for figure in await measured(bench, picture, doors)
        ]


_Doors = Sequence[tuple[Server, Stub]]


async def _uploads(bench: Bench, picture: Picture, doors: _Doors) -> list[Figure]:
    numbers = count()
    ours, bare = await bench.alternate(
        f"photographs, {picture.name} up",
        *(partial(_up, server, stub, picture, numbers, bench.scale.photographs) for server, stub in doors),
    )
    name = f"upload of photographs, {picture.name}"
    return [
        _figure(name, "MiB/s", ours, bare, "mib_per_second", UP_GOAL),
        _figure(f"{name}, processor time", "ms/MiB", ours, bare, "server_ms"),
        _figure(f"{name}, processor time of inspection", "ms/MiB", ours, (), "workers_ms"),
    ]


async def _downloads(bench: Bench, picture: Picture, doors: _Doors) -> list[Figure]:
    image_id = await upload(doors[0][1], picture.content)
    named = (image_id, str(len(picture.content)))
    ours, bare = await bench.alternate(
        f"photographs, {picture.name} down",
        *(
            partial(_down, server, stub, name, len(picture.content), bench.scale.photographs)
            for (server, stub), name in zip(doors, named, strict=True)
        ),
    )
    name = f"download of photographs, {picture.name}"
    return [
        _figure(name, "MiB/s", ours, bare, "mib_per_second"),
        _figure(f"{name}, processor time", "ms/MiB", ours, bare, "server_ms"),
    ]


def _figure(
    name: str, unit: str, ours: Sequence[_Turn], bare: Sequence[_Turn], what: str, goal: Goal | None = None
) -> Figure:
    return Figure(
        measurement="photographs",
        name=name,
        unit=unit,
        ours=tuple(getattr(turn, what) for turn in ours),
        baseline=tuple(getattr(turn, what) for turn in bare),
        goal=goal,
    )


async def _up(server: Server, stub: Stub, picture: Picture, numbers: Iterator[int], uploads: int) -> _Turn:
    """Make the pictures before the clock starts."""
    contents = [another(picture, next(numbers)) for _ in range(uploads)]
    return await _timed(server, [(partial(upload, stub, content), len(content)) for content in contents])


async def _down(server: Server, stub: Stub, image_id: str, size: int, downloads: int) -> _Turn:
    return await _timed(server, [(partial(download, stub, image_id, size), size)] * downloads)


async def _timed(server: Server, transfers: Sequence[tuple[Callable[[], Awaitable[object]], int]]) -> _Turn:
    """Run them one after the other; each has its size in bytes."""
    before, started = _busy(server), time.perf_counter()
    for transfer, _ in transfers:
        await transfer()
    elapsed, after = time.perf_counter() - started, _busy(server)
    mib = sum(size for _, size in transfers) / MIB
    family, server_alone = (
        1000 * (later - earlier) / mib for earlier, later in zip(before, after, strict=True)
    )
    return _Turn(mib_per_second=mib / elapsed, server_ms=family, workers_ms=family - server_alone)


def _busy(server: Server) -> tuple[float, float]:
    return server.family_seconds(), server.processor_seconds()
