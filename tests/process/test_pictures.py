"""Pictures that want to hurt a real server: it does not grow, does not stop, and says why (F17, F80, P18)."""

import asyncio
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from imageedit_client import AsyncClient, InvalidArgument
from tests.images.pictures import PHOTO
from tests.rpc.calls import call
from tests.rpc.pictures import PNG
from tests.rpc.waiting import eventually
from tests.sandbox.bombs import BOMBS, HARMLESS
from tests.servers.places import Place
from tests.servers.processes import Server, Servers

MAX_BYTES = 20 * 1024 * 1024
"""``images.max_bytes``."""

MIB = 1024 * 1024
STORM = 60
STORM_BYTES = 16 * MIB
LARGEST = 3_900_000
"""Of a picture inside a request, little less than gRPC takes."""

T = TypeVar("T")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def test_no_upload_grows_or_stops_the_server(
    servers: Servers, place: Place, request: pytest.FixtureRequest
) -> None:
    """Every row of the bomb table is refused for its reason; the process grows less than 2 × the limit."""
    server = await servers.start(place)
    growth: dict[str, int] = {}
    async with AsyncClient(server.grpc) as client:
        photo = await client.upload(PHOTO)
        for name, (make, reason, description) in BOMBS.items():
            bomb = make()
            before = _forget_the_peak(server)
            with pytest.raises(InvalidArgument) as refused:
                await client.upload(bomb)
            growth[name] = server.memory_kib() - before
            assert refused.value.reason == reason.name, name
            assert description in str(refused.value), name
        for name, make in HARMLESS.items():
            bomb = make()
            before = _forget_the_peak(server)
            await client.upload(bomb)
            growth[name] = server.memory_kib() - before
        assert await client.upload(PHOTO) == photo
    worst = max(growth, key=lambda name: growth[name])
    figure = f"bombs: {len(growth)}, most that one grew the server: {growth[worst]} KiB ({worst})"
    request.node.user_properties.append(("figure: line", ["pictures", figure]))
    assert growth[worst] * 1024 < 2 * MAX_BYTES, (worst, growth)
    assert len(server.workers()) <= 2
    assert "Traceback" not in server.stderr()


async def test_a_killed_decoder_harms_its_own_picture_alone(servers: Servers, place: Place) -> None:
    """F17: the upload is refused, a result is looked at again, and everybody else gets another worker."""
    server = await servers.start(Place(folder=place.folder, seconds=0))
    async with AsyncClient(server.grpc) as client:
        image = await client.upload(PNG)
        pid = await _stop_the_worker(server)
        uploads = [asyncio.create_task(client.upload(picture)) for picture in (PHOTO, PNG)]
        stuck = await _one_is_done(uploads)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(InvalidArgument) as refused:
            await stuck
        assert refused.value.reason == "IMAGE_UNDECODABLE"
        assert (await client.upload(PHOTO)).width == 512

        pid = await _stop_the_worker(server)
        tasks = [
            await client.edit_image("make it warmer", [image.image_id], model="scripted/ok") for _ in range(2)
        ]
        ends = [asyncio.create_task(client.wait(task.task_id)) for task in tasks]
        unfinished = await _one_is_done(ends)
        os.kill(pid, signal.SIGKILL)
        assert (await unfinished).state == task_pb2.Task.STATE_SUCCEEDED
        [other] = (end.result() for end in ends if end is not unfinished)
        assert other.state == task_pb2.Task.STATE_SUCCEEDED
        again = await client.edit_image("make it warmer", [image.image_id], model="scripted/ok")
        assert (await client.wait(again.task_id)).state == task_pb2.Task.STATE_SUCCEEDED
    assert "Traceback" not in server.stderr()


async def test_a_server_sweeps_what_crashes_left_behind(servers: Servers, place: Place) -> None:
    """F3, F4: half an upload goes at the start, a whole file without a row when it is an hour old."""
    images = place.data_dir / "images"
    old, young, half = (
        images / "ab" / ("ab" * 32),
        images / "ab" / ("ab" * 31 + "00"),
        images / "tmp" / "half",
    )
    for path, age_seconds in ((old, 3_700), (young, 3_500), (half, 0)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left behind")
        os.utime(path, (time.time() - age_seconds,) * 2)
    server = await servers.start(place)
    assert not half.exists()
    await eventually(lambda: not old.exists())
    await server.logs("orphaned images removed: 1")
    assert young.exists()


async def _stop_the_worker(server: Server) -> int:
    """Stop the caller's only worker, so that what it gets next stays in its socket; return its pid.

    It is the older of two, forked from the same: the other one is ready for whoever comes next.
    """
    await eventually(lambda: len(server.fork_servers()) == 1 and len(server.workers()) == 2)
    pid, _ = server.workers()
    os.kill(pid, signal.SIGSTOP)
    await eventually(lambda: "State:\tT" in Path(f"/proc/{pid}/status").read_text())
    return pid


async def _one_is_done(two: list[asyncio.Task[T]]) -> asyncio.Task[T]:
    """Wait for one of the two, which another worker served; return the other, stuck in the stopped one."""
    done, stuck = await asyncio.wait(two, return_when=asyncio.FIRST_COMPLETED)
    assert all(task.exception() is None for task in done)
    [task] = stuck
    return task


def _forget_the_peak(server: Server) -> int:
    """Let the peak of the memory begin anew; return what is in use, in KiB."""
    process = Path(f"/proc/{server.process.pid}")
    (process / "clear_refs").write_text("5")
    return int(re.findall(r"VmRSS:\s+([0-9]+) kB", (process / "status").read_text())[0])


async def test_a_storm_of_pictures_inside_requests_leaves_no_memory_behind(
    servers: Servers, place: Place, request: pytest.FixtureRequest
) -> None:
    """F82: within the budget while it lasts, and back within a fifth afterwards; so is an honest load."""
    limits = {"IMAGEEDIT_LIMITS__INFLIGHT_BYTES": str(STORM_BYTES)}
    server = await servers.start(place, environment=limits)
    content = PHOTO + bytes(LARGEST - len(PHOTO))
    edit = pb.EditImageRequest(prompt="blur", images=[image_pb2.ImageSource(content=content)])
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        for _ in range(3):
            assert (await call(channel, "EditImage", edit)).code is grpc.StatusCode.OK
        before = server.memory_bytes()
        server.forget_peak()
        outcomes = await asyncio.gather(*(call(channel, "EditImage", edit) for _ in range(STORM)))
        grown = server.memory_bytes("VmHWM") - before
        codes = Counter(each.code for each in outcomes)
        assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert all(each.retry_seconds for each in outcomes if each.code is not grpc.StatusCode.OK)
        await eventually(lambda: server.memory_bytes() < 1.2 * before)
    figure = f"{STORM} requests of {LARGEST / MIB:.1f} MiB at once: {grown / MIB:.0f} MiB more at the most"
    request.node.user_properties.append(("figure: line", ["pictures", figure]))
    assert grown < 1.5 * STORM * LARGEST, figure  # gRPC may have read all of them before the first is refused
