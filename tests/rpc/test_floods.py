"""Floods and frames that no honest client sends: the server and everyone else go on (F71, F73, F74, P25)."""

import asyncio
import logging
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_server.rpc import grpcio_patch
from imageedit_server.rpc.call_metadata import MAX_METADATA_BYTES
from imageedit_server.telemetry.metrics import REGISTRY
from tests.rpc import http2
from tests.rpc.callers import ALICE, asking, bearer
from tests.rpc.calls import outcome_of
from tests.rpc.http2 import (
    CONTINUATION,
    DATA,
    HEADERS,
    LIST_MODELS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    head,
)
from tests.rpc.serving import SCRIPTED, SERVICE, Served, serving
from tests.rpc.waiting import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMES = 5000
STREAMS = range(1, 2 * FRAMES, 2)
MIB = 1024 * 1024
ANSWER_SECONDS = 10.0
"""Measured: some 20 ms under the worst of them. Without any defence others wait until the flood ends."""
UNKNOWN = 0x77
FAST_BYTES = 1024 * MIB
PINGS_CPU_SECONDS = 2.0
"""Measured: 0.1 for 80 000, with those who send and read them."""
CANCEL = struct.pack(">I", 8)
HEALTH_CHECK = b"/grpc.health.v1.Health/Check"
HEALTH_WATCH = b"/grpc.health.v1.Health/Watch"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server without keys."""
    async with serving(tmp_path_factory.mktemp("server"), SCRIPTED) as served:
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that asks for keys."""
    async with asking(tmp_path_factory.mktemp("asking")) as served:
        yield served


def resets() -> Iterator[bytes]:
    """Calls that are taken back at once (CVE-2023-44487)."""
    for stream in STREAMS:
        yield http2.call(head(), stream) + frame(RST_STREAM, CANCEL, stream=stream)


def resets_of_what_is_open() -> Iterator[bytes]:
    """The same before the message came, so that the server holds something for each."""
    for stream in STREAMS:
        yield http2.opened(head(), stream) + frame(RST_STREAM, CANCEL, stream=stream)


def continuations() -> Iterator[bytes]:
    """Headers without an end (VU#421644)."""
    yield frame(HEADERS, http2.block(head()), stream=1)
    for number in range(FRAMES):
        yield frame(CONTINUATION, http2.block([(b"x-%d" % number, b"y" * 100)]), stream=1)


def empty_continuations() -> Iterator[bytes]:
    """Headers without an end that say nothing."""
    yield frame(HEADERS, http2.block(head()), stream=1)
    yield from [frame(CONTINUATION, stream=1)] * FRAMES


def settings() -> Iterator[bytes]:
    """Settings, each of which is to be confirmed (CVE-2019-9515)."""
    yield from [frame(SETTINGS, struct.pack(">HI", 3, 100) * 20)] * FRAMES


def pings() -> Iterator[bytes]:
    """Pings, each of which is to be answered (CVE-2019-9512)."""
    yield from [frame(PING, b"12345678")] * FRAMES


def empty_data() -> Iterator[bytes]:
    """A message that never comes, in as many pieces as there may be (CVE-2019-9518)."""
    yield http2.opened(head())
    yield from [frame(DATA, stream=1)] * FRAMES


def windows() -> Iterator[bytes]:
    """Room for answers, byte by byte."""
    yield http2.opened(head())
    yield from [frame(WINDOW_UPDATE, struct.pack(">I", 1), stream=1)] * FRAMES


def priorities() -> Iterator[bytes]:
    """Streams that are to be before one another (CVE-2019-9513)."""
    yield from [frame(PRIORITY, struct.pack(">IB", 0, 16), stream=1)] * FRAMES


def streams() -> Iterator[bytes]:
    """More calls at once than a connection may have."""
    for stream in STREAMS:
        yield http2.opened(head(), stream)


def references() -> Iterator[bytes]:
    """Calls of 8 KB each that refer 8000 times to one header, and are counted as 8000."""
    for stream in range(1, 2 * 100, 2):
        entries = http2.remembered([(b"k", b"v" * 100)]) if stream == 1 else b""
        yield frame(HEADERS, http2.block(head()) + entries + http2.NEWEST * 8000, stream=stream, flags=4)


FLOODS = (
    references,
    resets,
    resets_of_what_is_open,
    continuations,
    empty_continuations,
    settings,
    pings,
    empty_data,
    windows,
    priorities,
    streams,
)


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_on_one_connection_holds_nobody_up(served: Served, flood: Any) -> None:
    """F73, P25: others are answered all along; afterwards nothing is left of it, and memory is as it was."""
    before, over = memory_bytes(), asyncio.Event()
    answering = asyncio.ensure_future(slowest(served, over))
    async with http2.peer(served.server.grpc_address) as attacker:
        await attacker.send(*flood())
        assert (await served.stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE_SECONDS)).models
    over.set()
    assert await answering < ANSWER_SECONDS
    await eventually(lambda: in_flight("ListModels") == 0)
    assert memory_bytes() - before < 128 * MIB


def in_flight(method: str) -> float:
    return REGISTRY.get_sample_value("imageedit_rpcs_in_flight", {"method": method}) or 0


async def slowest(served: Served, over: asyncio.Event) -> float:
    """Ask on a connection of its own until it is over; return how long the slowest answer took."""
    longest = 0.0
    while not over.is_set():
        began = time.monotonic()
        await served.stub.ListModels(pb.ListModelsRequest(), timeout=PATIENCE_SECONDS)
        longest = max(longest, time.monotonic() - began)
        await asyncio.sleep(0.001)
    return longest


def memory_bytes() -> int:
    """What this process, server and all, holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_what_a_fast_sender_has_ready_is_not_all_read_at_once(served: Served) -> None:
    """Frames that are skipped as they come: gRPC would read ever more at once, 250 to 800 MiB."""
    before, grown = memory_bytes(), 0
    sending = asyncio.create_task(asyncio.to_thread(send_fast, served.server.grpc_address, FAST_BYTES))
    while not sending.done():
        grown = max(grown, memory_bytes() - before)
        await asyncio.sleep(0.01)
    await sending
    assert grown < 64 * MIB


def send_fast(address: str, size_bytes: int) -> None:
    host, port = address.split(":")
    block = frame(UNKNOWN, b"z" * 16_000) * 8
    with socket.create_connection((host, int(port))) as attacker:
        attacker.sendall(http2.PREFACE + frame(SETTINGS))
        for _ in range(size_bytes // len(block)):
            attacker.sendall(block)


async def test_a_ping_costs_the_same_however_many_came_before(served: Served) -> None:
    """F71: nobody is sent away for pinging. gRPC's strikes would make 80 000 pings cost 10 CPU seconds."""
    flood = frame(PING, b"again...") * 80_000
    reader, writer = await asyncio.open_connection(*served.server.grpc_address.split(":"))
    began = time.process_time()
    writer.write(http2.PREFACE + frame(SETTINGS) + flood)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await reader.readexactly(len(flood))  # each is answered
    assert time.process_time() - began < PINGS_CPU_SECONDS
    writer.close()


async def test_more_streams_than_allowed_are_refused_alone(served: Served) -> None:
    """A connection has room for 1000 calls; what is beyond is reset, what is within goes on."""
    async with http2.peer(served.server.grpc_address) as many:
        await many.confirm()
        await many.send(*(http2.opened(head(), stream) for stream in range(1, 2 * 1001, 2)))
        await many.until(RST_STREAM, 2001)
        await many.send(frame(DATA, http2.EMPTY_MESSAGE, stream=1, flags=http2.END_STREAM))
        assert await many.status(1) == 0


# Metadata (F74)


@pytest.mark.parametrize(("size", "codes"), [(4_000, {"OK"}), (20_000, {"RESOURCE_EXHAUSTED"})])
async def test_metadata_is_bounded(served: Served, size: int, codes: set[str]) -> None:
    """Between the two sizes gRPC refuses by chance, the larger the likelier."""
    metadata = (("x-long", "y" * size),)
    outcomes = [
        await outcome_of(served.stub.ListModels(pb.ListModelsRequest(), metadata=metadata)) for _ in range(5)
    ]
    assert {outcome.code.name for outcome in outcomes} == codes


@pytest.mark.parametrize("path", [LIST_MODELS, HEALTH_CHECK, HEALTH_WATCH])
async def test_metadata_is_bounded_before_settings_are_confirmed_too(asked: Served, path: bytes) -> None:
    """Until then gRPC takes 16 MiB for each call. It is let go of unanswered; the connection goes on."""
    long = (b"x-long", b"y" * MAX_METADATA_BYTES)
    key = (b"authorization", b"Bearer " + ALICE.encode())
    async with http2.peer(asked.server.grpc_address) as hasty:
        await hasty.send(http2.opened(head(long, key, path=path)))
        assert await hasty.status() == grpc.StatusCode.CANCELLED.value[0]
        await hasty.send(http2.call(head(key), 3))
        assert await hasty.status(3) == 0


NASTY = (b"\0", b"a\0b", b"one\r\ntwo: injected", b"\xff\xfe", b"\xed\xa0\x80", "é\u2028".encode(), b"%0d%0a")


@pytest.mark.parametrize("text", NASTY, ids=repr)
async def test_nasty_headers_harm_nobody(
    asked: Served, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    """F74: in a value, a name, a key, a path: the call ends, others go on, and the log tells nothing."""
    caplog.set_level(logging.DEBUG)
    key = (b"authorization", b"Bearer " + ALICE.encode())
    heads = [
        head(key, (b"x-value", text)),
        head(key, (b"x-value-bin", text)),
        head(key, (b"x-" + text, b"name")),
        head((b"authorization", b"Bearer " + text)),
        head((b"authorization", text)),
        head(key, path=b"/" + text),
        head(key, path=LIST_MODELS + text),
        head(key, path=text),
        head(key, (b"grpc-timeout", text)),
        head(key, (b"grpc-encoding", text)),
        head(key, (b"user-agent", text)),
        [*head(key)[:3], (b":authority", text), *head(key)[4:]],
    ]
    for headers in heads:
        async with http2.peer(asked.server.grpc_address) as nasty:
            await nasty.send(http2.call(headers))
            await nasty.send(frame(PING, b"read it!"))
            await nasty.until(PING, containing=b"read it!")
    rpc = asked.stub.ListModels(pb.ListModelsRequest(), metadata=bearer(ALICE), timeout=PATIENCE_SECONDS)
    assert (await rpc).models
    assert "injected" not in "".join(map(logging.Formatter().format, caplog.records))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


LIBRARY_LINES = (
    "Invalid encoding on %s",
    "ExecuteBatchError raised in core by servicer method [/imageedit.v1.ImageEditService/ListModels]",
)


@pytest.mark.parametrize("line", LIBRARY_LINES)
async def test_what_strangers_make_the_library_say_is_left_out(
    line: str, caplog: pytest.LogCaptureFixture
) -> None:
    """F73, F74: the second is said, with a traceback, of a call that broke as its answer was on its way."""
    log = logging.getLogger("grpc._cython.cygrpc")
    log.error(line)
    log.error("another")
    assert [record.message for record in caplog.records] == ["another"]


# Methods that are not served


@pytest.mark.parametrize("path", [b"/nobody/Nothing", b"/\xff\xfe", f"/{SERVICE.full_name}/".encode()])
@pytest.mark.parametrize("with_key", [True, False])
async def test_unknown_methods_are_refused_whatever_they_are_called(
    asked: Served, served: Served, path: bytes, with_key: bool
) -> None:
    """F84: a path that is no UTF-8 would end grpcio's server for everyone."""
    for server, expected in (
        (asked, "UNIMPLEMENTED" if with_key else "UNAUTHENTICATED"),
        (served, "UNIMPLEMENTED"),
    ):
        more = [(b"authorization", b"Bearer " + ALICE.encode())] if with_key else []
        async with http2.peer(server.server.grpc_address) as stranger:
            await stranger.send(http2.call(head(*more, path=path)))
            assert await stranger.status() == grpc.StatusCode[expected].value[0]
            await stranger.send(http2.call(head(*more), 3))
            assert await stranger.status(3) == (0 if with_key or server is served else 16)


async def test_a_grpc_server_that_died_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts it again helps more than one that says it is ready and listens to nobody."""
    died = asyncio.Event()

    async def ended(_server: grpc.aio.Server) -> None:
        await died.wait()

    monkeypatch.setattr(grpcio_patch, "ended", ended)
    async with serving(tmp_path, SCRIPTED) as served:
        died.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert "gRPC server ended" in str(await served.server.broken)


async def test_a_server_that_takes_no_calls_is_seen_to_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpcio_patch, "LOOK_SECONDS", 0.01)
    server = await grpcio_patch.server(interceptors=[])
    server.add_insecure_port("127.0.0.1:0")
    await server.start()
    ended = asyncio.create_task(grpcio_patch.ended(server))
    await asyncio.sleep(0)
    assert not ended.done()
    await server.stop(None)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await ended
