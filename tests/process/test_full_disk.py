"""A disk that really is full: a small one of the server's own, where the machine lets us have one."""

import asyncio
import errno
import shutil
import subprocess
from pathlib import Path

import grpc
import httpx
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient
from tests.rpc.calls import call
from tests.rpc.pictures import PNG
from tests.rpc.waiting import eventually
from tests.servers.places import Place
from tests.servers.processes import Server, Servers

SIZE = "8m"
OWN_MOUNTS = ["unshare", "--mount", "--map-root-user"]
MOUNT = f'mount -t tmpfs -o size={SIZE} none "$0" && exec "$@"'


def may_mount() -> bool:
    """Whether this machine lets us have file systems of our own."""
    if shutil.which("unshare") is None:
        return False
    command = [*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


async def readiness(server: Server) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        return (await http.get(f"http://{server.http}/readyz")).status_code


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


async def test_a_full_disk_is_told_survived_and_left_behind(servers: Servers, place: Place) -> None:
    """F19, F20: refused with STORAGE_FULL, not ready, but reads go on; then it recovers alone."""
    if not await asyncio.to_thread(may_mount):
        pytest.skip("this machine lets nobody mount a file system of his own")
    place.data_dir.mkdir()
    around = [*OWN_MOUNTS, "sh", "-c", MOUNT, str(place.data_dir)]
    config = {"IMAGEEDIT_STORE__MIN_FREE_BYTES": str(2**20)}
    server = await servers.start(place, around=around, environment=config)
    filler = Path(f"/proc/{server.process.pid}/root{place.data_dir}/filler")
    async with AsyncClient(server.grpc) as client, grpc.aio.insecure_channel(server.grpc) as channel:
        image = await client.upload(PNG)
        before = await client.wait((await client.edit_image("x", [image.image_id])).task_id)
        await asyncio.to_thread(fill, filler)
        assert await readiness(server) == 503
        upload = await call(
            channel, "UploadImage", pb.UploadImageRequest(info={}), pb.UploadImageRequest(chunk=PNG)
        )
        assert upload.reason == "STORAGE_FULL"
        source = image_pb2.ImageSource(image_id=image.image_id)
        request = pb.EditImageRequest(prompt="x" * 30_000, images=[source], model="scripted/never")
        while (outcome := await call(channel, "EditImage", request)).code is grpc.StatusCode.OK:
            pass  # until the log's own room is used up
        assert (outcome.code, outcome.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
        assert await client.get(before.task_id) == before
        assert await client.download(image.image_id) == PNG
        await asyncio.to_thread(filler.unlink)
        await eventually(lambda: is_ready(server))
        again = await client.edit_image("x", [image.image_id])
        assert (await client.wait(again.task_id)).images
    assert "Traceback" not in server.stderr()


async def is_ready(server: Server) -> bool:
    return await readiness(server) == 200
