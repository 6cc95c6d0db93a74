"""Where the processor time of an accept and of an edit goes, by layer: ``make bench ARGS=--profile``.

The server samples itself (``sampled_server``). What it, its threads and its workers took is read from
outside, so that what no sample explains is seen. It is processor time alone: who waits, for a disk or a
vendor, takes none.
"""

import json
import signal
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.bench import accepts
from tests.bench.bench import Bench, connected
from tests.bench.callers import keep_on
from tests.bench.edits import edit_once, serving_vendor, settings
from tests.bench.pictures import Picture, png_photograph, small_noise
from tests.bench.processes import module
from tests.servers import measuring
from tests.servers.processes import Server

ACCEPT_CALLERS = 64
EDIT_CALLERS = 8
TURNS = 3
"""How many turns of the bench's scale it lasts."""
MOST_FUNCTIONS = 40
OWN_THREADS = "gRPC: threads of its own"

Place = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Microseconds of processor time of an operation: all of the server, of its workers, and by place."""

    name: str
    operations: int
    server: float
    workers: float
    collector: float
    places: dict[Place, float]

    @property
    def layers(self) -> dict[str, float]:
        """The server's, by layer."""
        layers: defaultdict[str, float] = defaultdict(float)
        for (layer, _), micros in self.places.items():
            layers[layer] += micros
        return dict(layers)

    @property
    def unattributed(self) -> float:
        """What no sample explains."""
        return self.server - sum(self.places.values())


async def measure(bench: Bench) -> list[Profile]:
    """Profile an accept, an edit of a small picture and one of a photograph."""
    return [
        await profile_accept(bench, ACCEPT_CALLERS),
        await profile_edit(bench, EDIT_CALLERS, small_noise()),
        await profile_edit(bench, EDIT_CALLERS, png_photograph()),
    ]


async def profile_accept(bench: Bench, callers: int) -> Profile:
    """Profile what ``accepts`` measures."""
    async with _sampled(bench, accepts.CONFIG) as ours, connected(ours.address) as stub:
        image_id = await accepts.upload(stub)
        await accepts.fill(stub, image_id)

        async def act() -> None:
            await stub.EditImage(accepts.edit(image_id))

        return await _profile(bench, f"accept, {callers} callers", ours, callers, act)


async def profile_edit(bench: Bench, callers: int, picture: Picture) -> Profile:
    """Profile edits through the openai adapter, of a picture that comes back as it is."""
    async with (
        serving_vendor(bench, picture) as vendor,
        _sampled(bench, settings(vendor.address, picture)) as ours,
        connected(ours.address) as stub,
    ):
        act = partial(edit_once, stub, picture)
        return await _profile(bench, f"edit of {picture.name}, {callers} callers", ours, callers, act)


def _sampled(bench: Bench, config: str) -> AbstractAsyncContextManager[Server]:
    return bench.ours(config, program=module("sampled_server", python=bench.python))


async def _profile(
    bench: Bench, name: str, server: Server, callers: int, act: Callable[[], Awaitable[object]]
) -> Profile:
    bench.say(f"profile, {name}")
    await keep_on(act, callers, bench.scale.seconds / TURNS)
    before = await _read(server)
    operations = await keep_on(act, callers, bench.scale.seconds * TURNS)
    return _made(name, operations, before, await _read(server))


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """Seconds since the start."""

    server: float
    workers: float
    collector: float
    places: dict[Place, float]


async def _read(server: Server) -> _Reading:
    told = await ask(server)
    places = {(layer, function): seconds for layer, function, seconds in told["counted"]}
    threads = measuring.thread_seconds(server.process.pid)
    places[OWN_THREADS, ""] = sum(threads[thread] for thread in threads.keys() - set(told["threads"]))
    taken = server.processor_seconds()
    return _Reading(
        server=taken,
        workers=server.family_seconds() - taken,
        collector=told["collected_seconds"],
        places=places,
    )


async def ask(server: Server) -> dict[str, Any]:
    """Return what the server says when it is asked.

    uvloop tells a signal twice where another comes at the same moment, as the sampler's do: what was told
    before this question is the answer to the last one.
    """
    assert server.process.stdout is not None
    asked = time.monotonic()
    server.send(signal.SIGUSR1)
    while (told := json.loads(await server.process.stdout.readline()))["monotonic"] < asked:
        pass
    return dict(told)


def _made(name: str, operations: int, before: _Reading, after: _Reading) -> Profile:
    def each(seconds: float) -> float:
        return 1e6 * seconds / operations

    return Profile(
        name=name,
        operations=operations,
        server=each(after.server - before.server),
        workers=each(after.workers - before.workers),
        collector=each(after.collector - before.collector),
        places={
            place: each(seconds - before.places.get(place, 0)) for place, seconds in after.places.items()
        },
    )


# How it is told


def table(profile: Profile) -> str:
    """Return the table of one operation, and the functions that take most."""
    rows = [
        *_ranked(profile.layers),
        ("not attributed", profile.unattributed),
        ("the server, from outside", profile.server),
        ("of which the collector of garbage", profile.collector),
        ("its workers, from outside", profile.workers),
    ]
    lines = [f"{profile.name}: µs of processor time each, of {profile.operations:,} operations"]
    lines += [f"  {name:<36}{micros:>9.0f}{micros / profile.server:>9.1%}" for name, micros in rows]
    most = _ranked(profile.places)[:MOST_FUNCTIONS]
    lines += [f"      {micros:>8.0f}  {layer:<36}{function}" for (layer, function), micros in most]
    return "\n".join(lines)


def _ranked(figures: Mapping[T, float]) -> list[tuple[T, float]]:
    return sorted(figures.items(), key=lambda item: -item[1])


def as_json(profile: Profile) -> dict[str, object]:
    """Return the raw figures."""
    return {
        "name": profile.name,
        "operations": profile.operations,
        "server": profile.server,
        "workers": profile.workers,
        "collector": profile.collector,
        "layers": profile.layers,
        "places": [[*place, micros] for place, micros in _ranked(profile.places)],
    }


def write(profiles: list[Profile], out: Path) -> None:
    """Print the tables; write the raw figures."""
    print("\n\n".join(map(table, profiles)))
    out.mkdir(exist_ok=True)
    raw = [as_json(profile) for profile in profiles]
    (out / "profile.json").write_text(json.dumps(raw, indent=1, ensure_ascii=False))
    print(f"\nsaved {out / 'profile.json'}")
