"""The proxies of others: LiteLLM's and Portkey's. Neither says where it serves, nor when it is ready.

Portkey's listens on every address of the machine; it takes no other order.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from tests.bench.bench import Bench
from tests.bench.edits import KEY
from tests.bench.peers.client import Edit, http_caller
from tests.bench.peers.contenders import MODEL, Contender, LeftOut, Opening, bearer, proven
from tests.bench.pictures import Picture
from tests.bench.processes import silent
from tests.servers.processes import Server
from tests.servers.programs import PATIENCE_SECONDS

LITELLM_MODEL = """
  - model_name: {key}
    litellm_params: {{model: openai/{model}, api_base: "http://{vendor}/{key}/v1", api_key: {secret}}}"""
LITELLM_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Its prices come with it; else its start would wait for the internet."""


def peers(litellm_command: Path, portkey_script: Path) -> list[Opening]:
    """Return those who are compared with us."""
    return [partial(litellm, litellm_command), partial(portkey, portkey_script)]


@asynccontextmanager
async def litellm(
    command: Path, bench: Bench, address: str, pictures: Sequence[Picture]
) -> AsyncIterator[Contender]:
    """Run LiteLLM's proxy with one worker; it is ready when it says that it lives."""
    _require("LiteLLM", command)
    folder = bench.new_folder()
    models = (
        LITELLM_MODEL.format(key=picture.key, vendor=address, secret=KEY, model=MODEL) for picture in pictures
    )
    config = f"model_list:{''.join(models)}\ngeneral_settings: {{master_key: {KEY}}}\n"
    (folder / "config.yaml").write_text(config)
    port = _free_port()
    arguments = ["--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
    arguments += ["--port", str(port), "--num_workers", "1"]
    async with silent([str(command), *arguments], folder / "litellm.log", LITELLM_ENVIRONMENT) as server:
        await _lives("LiteLLM", server, port, "/health/liveliness")

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            return http_caller(server.address, bearer(), picture.key, picture)

        yield await proven(Contender(name="LiteLLM", server=server, caller=caller), pictures)


@asynccontextmanager
async def portkey(
    script: Path, bench: Bench, address: str, pictures: Sequence[Picture]
) -> AsyncIterator[Contender]:
    """Run Portkey's gateway, where there is a Node on which an edit goes through it."""
    node = Path(shutil.which("node") or "node")
    _require("Portkey's gateway", node, script)
    folder, port = bench.new_folder(), _free_port()
    command = [str(node), str(script), "--headless", f"--port={port}"]
    async with silent(command, folder / "portkey.log", {}) as server:
        await _lives("Portkey's gateway", server, port, "/")

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            host = {"x-portkey-custom-host": f"http://{address}/{picture.key}/v1"}
            headers = {**bearer(), "x-portkey-provider": "openai", **host}
            return http_caller(server.address, headers, MODEL, picture)

        yield await proven(Contender(name="Portkey", server=server, caller=caller), pictures)


def _require(name: str, *files: Path) -> None:
    """Raise ``LeftOut`` where one of the files is not there."""
    for file in files:
        if not file.exists():
            raise LeftOut(f"{name} is left out: there is no {file}")


async def _lives(name: str, server: Server, port: int, path: str) -> None:
    """Wait until it answers; note where, and how long that took. Raises ``LeftOut``."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while server.process.returncode is None:
                if await _is_well(port, path):
                    return server.serves(http=f"127.0.0.1:{port}")
                await asyncio.sleep(0.02)
    raise LeftOut(f"{name} is left out: it did not start:\n{server.stderr()[-1000:]}")


async def _is_well(port: int, path: str) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
    with suppress(ConnectionError):
        answer = await reader.read()
        writer.close()
        return b" 200 " in answer.partition(b"\r\n")[0]
    return False


def _free_port() -> int:
    """A port that was free just now; the proxies cannot choose one themselves."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
