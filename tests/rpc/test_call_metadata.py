"""A call's metadata is counted before Python sees it, and one with too much is let go of (P25, F74)."""

import struct
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from imageedit_server.rpc import call_metadata, grpcio_patch, server
from imageedit_server.rpc.call_metadata import MAX_ENTRIES, MAX_METADATA_BYTES
from imageedit_server.runtime.versions import Unsupported
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc import http2
from tests.rpc.http2 import GOAWAY, HEADERS, PING, Header, frame, head
from tests.rpc.serving import SCRIPTED, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANCELLED = grpc.StatusCode.CANCELLED.value[0]
CALLS = 100
ENTRIES = 8000
LIVED = ("/imageedit.v1.ImageEditService/ListModels", "/grpc.health.v1.Health/Check")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("server"), SCRIPTED) as served:
        yield served


# Where it lies in this grpcio


async def test_a_grpcio_that_keeps_it_elsewhere_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer one may; what is found then is said in a sentence, and nothing is served uncounted."""
    monkeypatch.setattr(call_metadata, "ENTRY", struct.Struct("QQ16xQQ16x40x"))
    monkeypatch.setattr(grpcio_patch, "LAYOUTS", [])
    with pytest.raises(
        Unsupported, match=r"^grpcio \S+ keeps the metadata of calls where .*; install grpcio>="
    ):
        async with serving(tmp_path, SCRIPTED):
            pass


async def test_the_layout_of_this_grpcio_is_found_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails with a newer grpcio, its layout differs: rpc/call_metadata.py says what it was."""
    found = []
    for _ in range(3):
        monkeypatch.setattr(grpcio_patch, "LAYOUTS", [])
        made = await grpcio_patch.server(interceptors=[])
        await made.stop(None)
        found += grpcio_patch.LAYOUTS
    assert len(set(found)) == 1
    assert len(found) == 3


# What is let go of


@pytest.mark.parametrize("path", [*LIVED, "/nobody/Nothing"])
@pytest.mark.parametrize(
    ("more", "is_dropped"),
    [
        ([(b"x", b"y")] * MAX_ENTRIES, False),
        ([(b"x", b"y")] * (MAX_ENTRIES + 1), True),
        ([(b"x", b"")] * (MAX_ENTRIES + 1), True),
        ([(b"x", b"y" * (MAX_METADATA_BYTES - 1))], False),
        ([(b"x", b"y" * MAX_METADATA_BYTES)], True),
        ([(b"x-bin", b"AAAA" * 5400)], False),
        ([(b"x-bin", b"AAAA" * 5500)], True),
        ([(b"x" * 200, b"y" * 20)] * 80, True),
    ],
    ids=["entries", "entries+1", "empty+1", "bytes", "bytes+1", "binary", "binary+1", "names"],
)
async def test_the_limits_are_exact_before_settings_are_confirmed(
    served: Served, path: str, more: list[Header], is_dropped: bool
) -> None:
    """What is let go of ends as CANCELLED and is counted; the connection goes on."""
    before = dropped()
    async with http2.peer(served.server.grpc_address) as hasty:
        await hasty.send(http2.call(head(*more, path=path.encode())))
        assert (await hasty.status() == CANCELLED) is is_dropped
        await hasty.send(http2.call(head(), 3))
        await hasty.until(HEADERS, 3)
    assert dropped() - before == is_dropped


def dropped() -> float:
    return REGISTRY.get_sample_value("imageedit_calls_dropped_total") or 0


# What it costs


async def test_what_is_let_go_of_costs_no_more_than_what_grpc_refuses(served: Served) -> None:
    """Control: the same bytes of a client that confirmed the settings, whose calls gRPC itself refuses."""
    refused = await cost(served, confirmed=True)
    let_go = await cost(served, confirmed=False)
    assert let_go < 10 * refused + 0.1
    """Measured: as much. As tuples they took 40 times as long, and 13 KB for each byte that was sent."""


async def cost(served: Served, *, confirmed: bool) -> float:
    """Return the CPU seconds of this process for calls that refer to one header over and over."""
    async with http2.peer(served.server.grpc_address) as stranger:
        if confirmed:
            await stranger.confirm()
            await stranger.answered()
        began = time.process_time()
        for stream in range(1, 2 * CALLS, 2):
            entries = http2.remembered([(b"k", b"v" * 100)]) if stream == 1 else b""
            block = http2.block(head()) + entries + http2.NEWEST * ENTRIES
            await stranger.send(frame(HEADERS, block, stream=stream, flags=http2.END_HEADERS))
        for stream in range(1, 2 * CALLS, 2):
            assert await stranger.status(stream) != 0
        return time.process_time() - began


# Header blocks without an end


async def test_who_never_confirms_the_settings_is_let_go_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headers that never end hold 37 MiB a connection. Control: who confirms stays."""
    assert ("grpc.http2.settings_timeout", 5_000) in server.OPTIONS
    quick = [(name, 300 if name.endswith("settings_timeout") else value) for name, value in server.OPTIONS]
    monkeypatch.setattr(server, "OPTIONS", quick)
    async with serving(tmp_path, SCRIPTED) as quickly:
        address = quickly.server.grpc_address
        async with http2.peer(address) as honest, http2.peer(address) as endless:
            await honest.confirm()
            await endless.send(frame(HEADERS, http2.block(head()), stream=1))
            await ended(endless, until=lambda: endless.ended)
            await honest.send(frame(PING, b"are you?"))
            await honest.until(PING, containing=b"are you?")
            assert not [each for each in honest.frames if each.kind == GOAWAY]


async def ended(peer: http2.Peer, *, until: Callable[[], bool]) -> None:
    while not until():
        peer.news.clear()
        await peer.news.wait()
