"""docs/proxies/nginx.conf is what a server needs in front of it, as a real nginx takes it."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from tests.outbound.servers import CERTS, client_tls
from tests.proxies.programs import NGINX, Doors, Proxy
from tests.rpc.pictures import noise
from tests.servers.places import Place
from tests.servers.processes import Server, Servers

PICTURE = noise(2 * 1024 * 1024)
"""More than nginx lets through unless told."""

pytestmark = pytest.mark.skipif(NGINX.program is None, reason="nginx is not installed here")


@asynccontextmanager
async def nginx(server: Server, proxy: Proxy = NGINX) -> AsyncIterator[str]:
    """Run nginx before a server; yield the socket on which it takes TLS, once it does."""
    with tempfile.TemporaryDirectory() as name:  # a socket's path is short
        doors = Doors(plain=f"unix:{name}/plain", tls=f"unix:{name}/tls")
        async with proxy.running(Path(name), doors, server.grpc, server.http):
            yield doors.tls


@asynccontextmanager
async def stub_behind(server: Server, proxy: Proxy = NGINX) -> AsyncIterator[Any]:
    """Call a server through nginx; the channel waits until that listens."""
    authorities = grpc.ssl_channel_credentials((CERTS / "test-only-ca.pem").read_bytes())
    async with nginx(server, proxy) as socket:
        options = [("grpc.ssl_target_name_override", "localhost"), ("grpc.default_authority", "localhost")]
        async with grpc.aio.secure_channel(socket, authorities, options) as channel:
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
    async with stub_behind(server) as stub:
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
    async with nginx(server) as socket:
        uds = socket.removeprefix("unix:")
        transport = httpx.AsyncHTTPTransport(verify=client_tls(), uds=uds, retries=20)
        async with httpx.AsyncClient(transport=transport, base_url="https://localhost") as http:
            assert "Allow" in (await http.get("/callbacks/kie/x")).headers
            assert "imageedit_" not in (await http.get("/metrics")).text


@pytest.mark.parametrize("planted", ["client_max_body_size 1m;", "grpc_read_timeout 100ms;"])
async def test_what_the_file_sets_is_needed(
    servers: Servers, place: Place, tmp_path: Path, planted: str
) -> None:
    """A larger picture or a silent watch ends at nginx without it."""
    server = await servers.start(place)
    name, _, _ = planted.partition(" ")
    changed = tmp_path / "nginx.conf"
    changed.write_text(re.sub(f"{name} [^;]+;", planted, NGINX.file.read_text()))
    async with stub_behind(server, replace(NGINX, file=changed)) as stub:
        with pytest.raises(grpc.aio.AioRpcError):
            await watched(stub, (await upload(stub)).image_id, "scripted/never")
