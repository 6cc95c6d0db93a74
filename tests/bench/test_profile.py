"""Every package of the server has its layer, and a profile of a real server tells where its time went."""

import asyncio
import json
import pkgutil
import signal
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import FrameType, SimpleNamespace

import pytest

import imageedit_server
from tests.bench import layers, profile
from tests.bench.__main__ import SERVER
from tests.bench.bench import SHORT, Bench
from tests.bench.layers import LAYERS, ROOM, layer_of, place_of


def test_every_package_has_its_layer():
    children = {module.name for module in pkgutil.iter_modules(imageedit_server.__path__)}
    assert {name for name in LAYERS if "." not in name} == children


@pytest.mark.parametrize("name", LAYERS)
def test_layer_is_of_a_module_that_exists(name: str):
    assert find_spec(f"{ROOM}.{name}")


def test_longest_name_wins():
    assert layer_of("imageedit_server.rpc") == layer_of("imageedit_server.rpc.server") == layers.GRPC
    assert layer_of("imageedit_server.rpc.service") == layers.SERVICE
    assert layer_of("imageedit_server.core.request") == layer_of("sqlalchemy.engine") == layers.CALLER


def frame_in(*modules: str) -> FrameType:
    """A frame in the last of these modules, called by one in the module before it, and so on."""
    made: list[FrameType] = []
    inner = "made.append(sys._getframe())"
    scopes: list[dict[str, object]] = []
    for module in reversed(modules):
        scopes.append({"__name__": module, "sys": sys, "made": made})
        exec(f"def function():\n    {inner}", scopes[-1])
        inner = "following()"
        if len(scopes) > 1:
            scopes[-1]["following"] = scopes[-2]["function"]
    outermost = scopes[-1]["function"]
    assert callable(outermost)
    outermost()
    return made[0]


@pytest.mark.parametrize(
    ("modules", "layer"),
    [
        (
            ["asyncio.events", "imageedit_server.engine.run", "imageedit_server.store.claims"],
            layers.STATEMENTS,
        ),
        (["imageedit_server.editing.creating", "imageedit_server.core.request", "hashlib"], layers.SERVICE),
        (["imageedit_server.engine.run", "logging"], layers.LOGS),
        (["imageedit_server.cli.app", "asyncio.base_events", "selectors"], layers.LOOP),
    ],
)
def test_innermost_frame_with_a_layer_counts(modules: list[str], layer: str):
    assert place_of(frame_in(*modules))[0] == layer


async def test_what_was_told_before_it_was_asked_is_no_answer():
    told = asyncio.StreamReader()
    told.feed_data(json.dumps({"monotonic": time.monotonic(), "counted": "long ago"}).encode() + b"\n")

    def send(number: int) -> None:
        assert number == signal.SIGUSR1
        told.feed_data(json.dumps({"monotonic": time.monotonic(), "counted": "now"}).encode() + b"\n")

    process = SimpleNamespace(stdout=told)
    server = SimpleNamespace(process=process, send=send)
    assert (await profile.ask(server))["counted"] == "now"  # type: ignore[arg-type]


async def test_profile_tells_where_the_time_of_an_accept_goes(tmp_path: Path):
    bench = Bench(folder=tmp_path, scale=SHORT, server=SERVER, say=print)
    found = await profile.profile_accept(bench, 16)
    assert sum(found.layers.values()) == pytest.approx(found.server, rel=0.1)
    assert found.layers.get(layers.REST, 0) < 0.2 * found.server
    assert found.layers[layers.SERVICE] > 0.05 * found.server
    assert layers.SERVICE in profile.table(found)
