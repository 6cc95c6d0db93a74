"""``python -m tests.bench.peers PYTHON``: the same edit through this service and through LiteLLM's proxy.

Both stand before the same vendor on loopback, which answers at once. PYTHON is an interpreter that has
``litellm[proxy]``. An edit is over when its caller has the picture: with LiteLLM one HTTP call, with this
service EditImage, WatchTask to its end and DownloadImage, and then the task and both pictures are durable.
The same caller asks the vendor without anyone between, to tell what each adds.
"""

import asyncio
import base64
import secrets
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import httpx
import typer

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from tests.bench.__main__ import SERVER, progress, run, tell
from tests.bench.bench import FULL, Bench, Stub, connected
from tests.bench.figures import Figure, Goal, counted
from tests.bench.processes import MIB, failed, module, serving, silent
from tests.bench.transfers import noise
from tests.servers.processes import Server
from tests.servers.programs import PATIENCE_SECONDS

GOAL = Goal(bound=5)
CALLERS = (1, 16)
PICTURE_KIB = 27
KEY = f"sk-{secrets.token_hex(32)}"
"""LiteLLM's proxy does not start without a strong one."""
MODEL = "gpt-image-1"
PROMPT = "make it black and white"
PATH = "/v1/images/edits"

OURS = """
[providers.vendor]
adapter = "openai"
base_url = "http://{vendor}"
rules = "relay"
api_key = "{key}"
[providers.vendor.models]
"vendor/image" = "{model}"
"""
LITELLM = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: "http://{vendor}/v1", api_key: {key}}}
general_settings: {{master_key: {key}}}
"""
LITELLM_ENVIRONMENT = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
"""Its prices come with it; else its start would wait for the internet."""

Edit = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True)
class Turn:
    """What one turn of edits brought."""

    per_second: float
    median_ms: float


async def measure(bench: Bench, python: Path) -> list[Figure]:
    """Compare the two."""
    picture = noise(PICTURE_KIB / 1024)
    folder = bench.new_folder()
    (folder / "picture.png").write_bytes(picture)
    vendor_command = module("vendor", str(folder / "picture.png"))
    async with serving(vendor_command, folder / "vendor.log", doors=["http"]) as vendor:
        figures = await _starts(bench, vendor.address, python)
        config = OURS.format(vendor=vendor.address, key=KEY, model=MODEL)
        async with (
            bench.ours(config) as ours,
            litellm(bench, vendor.address, python) as other,
            connected(ours.address) as stub,
            httpx.AsyncClient(limits=httpx.Limits(max_connections=64), timeout=60) as http,
        ):
            edits = (
                partial(_edit_ours, stub, picture),
                partial(_edit_http, http, other.address, picture),
                partial(_edit_http, http, vendor.address, picture),
            )
            for callers in CALLERS:
                turns = await bench.alternate(
                    f"peers, {counted(callers, 'caller')}",
                    *(partial(_turn, edit, callers, bench.scale.seconds) for edit in edits),
                )
                figures += _figures(callers, *turns)
            figures.append(
                Figure(
                    measurement="peers",
                    name="resident after work, all processes",
                    unit="MiB",
                    ours=(ours.family_bytes() / MIB,),
                    baseline=(other.family_bytes() / MIB,),
                )
            )
    return figures


def _figures(
    callers: int, ours: tuple[Turn, ...], other: tuple[Turn, ...], vendor: tuple[Turn, ...]
) -> list[Figure]:
    def added(turns: tuple[Turn, ...]) -> tuple[float, ...]:
        return tuple(turn.median_ms - bare.median_ms for turn, bare in zip(turns, vendor, strict=True))

    rate = Figure(
        measurement="peers",
        name=f"edits, {counted(callers, 'caller')}",
        unit="edits/s",
        ours=tuple(turn.per_second for turn in ours),
        baseline=tuple(turn.per_second for turn in other),
        goal=GOAL,
    )
    return [
        rate,
        replace(
            rate,
            name=f"the vendor alone, {counted(callers, 'caller')}",
            ours=tuple(turn.per_second for turn in vendor),
            baseline=(),
            goal=None,
        ),
        replace(
            rate,
            name=f"added p50, {counted(callers, 'caller')}",
            unit="ms",
            ours=added(ours),
            baseline=added(other),
            goal=None,
        ),
    ]


async def _starts(bench: Bench, vendor: str, python: Path) -> list[Figure]:
    config = OURS.format(vendor=vendor, key=KEY, model=MODEL)
    ours, other = await bench.alternate(
        "peers, start",
        lambda: _start_seconds(bench.ours(config)),
        lambda: _start_seconds(litellm(bench, vendor, python)),
        rounds=min(bench.scale.rounds, 3),
    )
    return [Figure(measurement="peers", name="command to ready", unit="s", ours=ours, baseline=other)]


async def _start_seconds(server: AbstractAsyncContextManager[Server]) -> float:
    async with server as served:
        return served.ready_seconds


# The contenders


async def _turn(edit: Edit, callers: int, seconds: float) -> Turn:
    """Let so many callers edit again and again, each as soon as it has its picture."""
    took: list[float] = []
    started = time.perf_counter()

    async def call() -> None:
        while True:
            began = time.perf_counter()
            assert await edit()
            took.append(time.perf_counter() - began)
            if time.perf_counter() > started + seconds:
                return

    await asyncio.gather(*(call() for _ in range(callers)))
    return Turn(len(took) / (time.perf_counter() - started), 1000 * median(took))


async def _edit_ours(stub: Stub, picture: bytes) -> bytes:
    accepted = await stub.EditImage(
        pb.EditImageRequest(
            model="vendor/image", prompt=PROMPT, images=[image_pb2.ImageSource(content=picture)]
        )
    )
    async for told in stub.WatchTask(pb.WatchTaskRequest(task_id=accepted.task.task_id)):
        task = told.event.task
    assert task.images, task.error
    image_id = task.images[0].image_id
    chunks = [
        response.chunk async for response in stub.DownloadImage(pb.DownloadImageRequest(image_id=image_id))
    ]
    return b"".join(chunks)


async def _edit_http(http: httpx.AsyncClient, address: str, picture: bytes) -> bytes:
    response = await http.post(
        f"http://{address}{PATH}",
        headers={"authorization": f"Bearer {KEY}"},
        data={"model": MODEL, "prompt": PROMPT, "response_format": "b64_json"},
        files={"image": ("picture.png", picture, "image/png")},
    )
    response.raise_for_status()
    return base64.b64decode(response.json()["data"][0]["b64_json"])


@asynccontextmanager
async def litellm(bench: Bench, vendor: str, python: Path) -> AsyncIterator[Server]:
    """Run LiteLLM's proxy with one worker; it is ready when it says that it lives."""
    folder = bench.new_folder()
    (folder / "config.yaml").write_text(LITELLM.format(vendor=vendor, key=KEY, model=MODEL))
    address = f"127.0.0.1:{_free_port()}"
    command = [str(python.with_name("litellm")), "--config", str(folder / "config.yaml")]
    command += ["--host", "127.0.0.1", "--port", address.partition(":")[2], "--num_workers", "1"]
    async with silent(command, folder / "litellm.log", LITELLM_ENVIRONMENT) as server:
        await _lives(f"http://{address}/health/liveliness", server)
        server.serves(http=address)
        yield server


async def _lives(url: str, server: Server) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS), httpx.AsyncClient() as http:
        while server.process.returncode is None:
            with suppress(httpx.TransportError):
                if (await http.get(url)).status_code == 200:
                    return
            await asyncio.sleep(0.02)
    raise failed(["litellm"], server.stderr())


def _free_port() -> int:
    """A port that was free just now; LiteLLM cannot choose one itself."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main(
    python: Annotated[Path, typer.Argument(help="An interpreter that has litellm[proxy].")],
    server_bin: Annotated[Path, typer.Option(help="The imageedit-server to measure.")] = SERVER,
    out: Annotated[Path, typer.Option(help="The folder for the figures.")] = Path("bench"),
) -> None:
    """Measure the service beside LiteLLM's proxy."""
    with tempfile.TemporaryDirectory(prefix="imageedit-bench-") as folder:
        bench = Bench(folder=Path(folder), scale=FULL, server=server_bin.absolute(), say=progress())
        figures = run(measure(bench, python.absolute()))
    tell(figures, out, "peers")


if __name__ == "__main__":
    typer.run(main)
