"""The proxies of docs/proxies in front of a real server: ``python -m tests.proxies``.

Through each, in plaintext and with TLS: keys, an upload, an edit with its watch, a download. Then a stranger
sends metadata that grows, and the server must see nothing of it. Exits with 1 when something does not come
through that should, or the other way round, and with 3 where neither nginx nor HAProxy is installed.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient
from tests.proxies.bombs import bombard, dropped
from tests.proxies.programs import PROGRAMS, Doors, Proxy
from tests.rpc.callers import ALICE, asking
from tests.rpc.pictures import noise
from tests.rpc.serving import Served

MISSING = 3
UPLOAD_BYTES = 1_500_000


async def main() -> int:
    """Try every proxy that is installed; print a line for each and return the exit code."""
    found = [proxy for proxy in PROGRAMS if proxy.program is not None]
    for proxy in PROGRAMS:
        if proxy.program is None:
            print(f"proxies: {proxy.name} is not installed")
    with tempfile.TemporaryDirectory(prefix="imageedit-proxies-") as folder:
        for proxy in found:
            await through(proxy, Path(folder) / proxy.name)
    return 0 if found else MISSING


async def through(proxy: Proxy, folder: Path) -> None:
    """Use and misuse a server behind ``proxy``. Raises ``AssertionError``."""
    async with asking(folder / "server") as served, running(proxy, folder, served) as doors:
        async with AsyncClient(doors.plain, api_key=ALICE) as client:
            await use(client)
        async with AsyncClient(doors.tls, api_key=ALICE, ca_file=doors.ca_file) as client:
            await use(client)
            slowest, sent = await bombard(client, doors.plain)
    assert not dropped(), f"{proxy.name} let {dropped():g} bombs through"
    print(f"proxies: {proxy.name}: all came through; slowest answer under {sent} bombs: {slowest:.3f} s")


async def use(client: AsyncClient) -> None:
    """Do what a caller does."""
    picture = noise(UPLOAD_BYTES)
    image = await client.upload(picture)
    asked = await client.edit_image("sharper", [picture], model="scripted/ok")
    task = await client.wait(asked.task_id)
    assert task.state == task_pb2.Task.STATE_SUCCEEDED
    assert await client.download(image.image_id) == picture


@asynccontextmanager
async def running(proxy: Proxy, folder: Path, served: Served) -> AsyncIterator[Doors]:
    """Run ``proxy`` before the server until the block ends."""
    doors, server = Doors.free(), served.server
    async with proxy.running(folder, doors, server.grpc_address, server.http_address) as process:
        await doors.opened(process)
        yield doors


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
