"""The block for nginx in docs/operations.md is what a server needs there, as a real nginx takes it."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_server.editing import Watching
from tests.outbound.servers import CERTS, client_tls
from tests.rpc.pictures import noise
from tests.servers.places import Place
from tests.servers.processes import Server, Servers
from tests.servers.programs import ROOT

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
BLOCK = re.search(r"```nginx\n(.*?)```", (ROOT / "docs/operations.md").read_text(), re.DOTALL)
AROUND = """
daemon off; master_process off; pid FOLDER/pid; error_log FOLDER/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path FOLDER/t; proxy_temp_path FOLDER/t; fastcgi_temp_path FOLDER/t;
    uwsgi_temp_path FOLDER/t; scgi_temp_path FOLDER/t;
    {block}
}}
"""
PICTURE = noise(2 * 1024 * 1024)
"""More than nginx lets through unless told."""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed here")


def block() -> str:
    assert BLOCK is not None
    return BLOCK[1]


@contextmanager
def nginx(server: Server, text: str) -> Iterator[Path]:
    """Run nginx with this block before a server; yield the socket on which it listens."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = text.replace("listen 443 ", f"listen unix:{folder}/socket ")
        text = text.replace("127.0.0.1:50051", server.grpc).replace("127.0.0.1:8080", server.http)
        (folder / "nginx.conf").write_text(AROUND.format(block=text).replace("FOLDER", name))
        shutil.copy(CERTS / "test-only-localhost.pem", folder / "server.pem")
        shutil.copy(CERTS / "test-only-localhost.key", folder / "server.key")
        started = subprocess.Popen(
            [NGINX or "nginx", "-p", name, "-c", folder / "nginx.conf"], stderr=subprocess.DEVNULL
        )
        try:
            yield folder / "socket"
        finally:
            started.kill()
            started.wait()


@asynccontextmanager
async def stub_behind(server: Server, text: str) -> AsyncIterator[Any]:
    """Call a server through nginx with this block; the channel waits until that listens."""
    authorities = grpc.ssl_channel_credentials((CERTS / "test-only-ca.pem").read_bytes())
    with nginx(server, text) as socket:
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost")]
        async with grpc.aio.secure_channel(f"unix:{socket}", authorities, options) as channel:
            async with asyncio.timeout(30):
                while channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY:
                    await channel.wait_for_state_change(channel.get_state())
            yield ImageEditServiceStub(channel)


async def upload(stub: Any) -> image_pb2.Image:
    chunks = [PICTURE[start : start + 65536] for start in range(0, len(PICTURE), 65536)]
    requests = [pb.UploadImageRequest(info={}), *(pb.UploadImageRequest(chunk=chunk) for chunk in chunks)]
    image: image_pb2.Image = (await stub.UploadImage(iter(requests))).image
    return image


async def watched(stub: Any, image_id: str, model: str) -> list[int]:
    """Create a task and follow it to its end; return the numbers of its events."""
    images = [image_pb2.ImageSource(image_id=image_id)]
    created = await stub.EditImage(pb.EditImageRequest(prompt="x", images=images, model=model))
    request = pb.WatchTaskRequest(task_id=created.task.task_id)
    return [reply.event.seq async for reply in stub.WatchTask(request)]


async def test_everything_goes_through(servers: Servers, place: Place) -> None:
    """A picture of megabytes in and out, a watch whole and in order, a refusal with its reason."""
    server = await servers.start(place)
    async with stub_behind(server, block()) as stub:
        image = await upload(stub)
        seqs = await watched(stub, image.image_id, "scripted/ok")
        assert seqs == list(range(1, len(seqs) + 1))
        replies = [
            reply async for reply in stub.DownloadImage(pb.DownloadImageRequest(image_id=image.image_id))
        ]
        assert b"".join(reply.chunk for reply in replies) == PICTURE
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetTask(pb.GetTaskRequest(task_id="task_0123456789abcdef0123456789abcdef"))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert "grpc-status-details-bin" in dict(refused.value.trailing_metadata() or ())


async def test_vendors_can_call_back_and_nobody_reads_the_metrics(servers: Servers, place: Place) -> None:
    server = await servers.start(place)
    with nginx(server, block()) as socket:
        transport = httpx.AsyncHTTPTransport(verify=client_tls(), uds=str(socket), retries=20)
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as http:
            assert "Allow" in (await http.get("/callbacks/kie/x")).headers
            assert "imageedit_" not in (await http.get("/metrics")).text


@pytest.mark.parametrize("planted", ["client_max_body_size 1m;", "grpc_read_timeout 100ms;"])
async def test_what_the_block_sets_is_needed(servers: Servers, place: Place, planted: str) -> None:
    """A larger picture or a silent watch ends at nginx without it."""
    server = await servers.start(place)
    name, _, _ = planted.partition(" ")
    async with stub_behind(server, re.sub(f"{name} [^;]+;", planted, block())) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await watched(stub, (await upload(stub)).image_id, "scripted/never")


def test_a_watch_is_never_silent_for_as_long_as_the_block_waits() -> None:
    found = re.search(r"grpc_read_timeout (\d+)m;", block())
    assert found is not None
    heartbeat_seconds = signature(Watching).parameters["heartbeat_seconds"].default
    assert int(found[1]) * 60 > 2 * heartbeat_seconds
