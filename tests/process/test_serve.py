"""``imageedit-server serve`` as a real process: one line, clear refusals, orderly ends (F18, F24, P24)."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import grpc
import httpx
import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_client import AsyncClient
from tests.rpc.calls import call, outcome_of
from tests.rpc.pictures import PNG
from tests.servers.places import Place
from tests.servers.processes import Server, Servers

CANARY = "canary-77aa51"
GRACE_SECONDS = 20.0
"""What a drain gives to calls that go on."""
TERM, INT = signal.SIGTERM, signal.SIGINT


# The line


async def test_it_prints_one_line_with_the_ports_and_serves_there(servers: Servers, tmp_path: Path) -> None:
    """Without a config: ``local``, data in ./data; nothing else goes to stdout; SIGTERM ends it with 0."""
    server = await servers.run("serve", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", cold=True)
    await server.ready()
    assert (tmp_path / "data" / "imageedit.sqlite3").exists()
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        assert (await http.get(f"http://{server.http}/readyz")).status_code == 200
    async with AsyncClient(server.grpc) as client:
        task = await client.edit_image("make it warmer", [PNG])
        assert (await client.wait(task.task_id)).model == "local/basic"
    server.send(TERM)
    assert await server.ended() == 0
    assert await server.rest_of_stdout() == ""
    assert "Traceback" not in server.stderr()


async def test_a_server_whose_data_were_moved_away_ends_with_a_sentence(
    servers: Servers, place: Place
) -> None:
    """F28: idle as it is; the data are whole where they are now."""
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        task = await client.edit_image("make it warmer", [PNG])
        await client.wait(task.task_id)
    moved = place.data_dir.rename(place.data_dir.with_name("moved"))
    assert await server.ended() == 1
    assert "imageedit.sqlite3 is gone" in server.stderr().split("the server cannot go on")[1]
    moved.rename(place.data_dir)
    again = await servers.start(place)
    async with AsyncClient(again.grpc) as client:
        assert (await client.get(task.task_id)).task_id == task.task_id


# Refusing to start


async def refused(server: Server, *words: str) -> None:
    """It ends with 2 and one sentence, which has the words; no traceback, nothing on stdout."""
    assert await server.ended() == 2, server.stderr()
    sentences = [line for line in server.stderr().splitlines() if line.startswith("imageedit-server: ")]
    assert len(sentences) == 1, server.stderr()
    assert sentences[0] == server.stderr().splitlines()[-1]
    assert all(word in sentences[0] for word in words), sentences
    assert "Traceback" not in server.stderr()
    assert await server.rest_of_stdout() == ""


async def test_a_second_server_is_kept_out(servers: Servers, place: Place) -> None:
    """F24: of the data dir and of both ports, each time by name; the first one does not notice."""
    first = await servers.start(place)
    other = Place(folder=place.folder / "other")
    other.folder.mkdir()
    data, grpc_port, http_port = await asyncio.gather(
        servers.run(*place.arguments()),
        servers.run(*other.arguments(listen=first.grpc)),
        servers.run(
            *place.arguments(http_listen=first.http)[:3], "--data-dir", "third", "--http-listen", first.http
        ),
    )
    await refused(data, "another server is using", str(place.data_dir))
    await refused(grpc_port, "server.listen", first.grpc, "stop it, or choose another address")
    await refused(http_port, "server.http_listen", first.http, "stop it, or choose another address")
    async with AsyncClient(first.grpc) as client:
        assert await client.list_models()


async def test_what_is_wrong_is_one_sentence(servers: Servers, place: Place) -> None:
    """A bad setting beside a secret, and a data dir whose images are something else."""
    config = place.folder / "bad.toml"
    config.write_text(f'[providers.x]\nadapter = "scripted"\napi_key = "{CANARY}"\nsteps = -1\n')
    bad = await servers.run("serve", "--config", str(config))
    place.data_dir.mkdir()
    (place.data_dir / "images").write_text("mine")
    occupied = await servers.run(*place.arguments())
    await refused(bad, "providers.x.steps")
    assert CANARY not in bad.stderr()
    await refused(occupied, str(place.data_dir))


# Ending


@pytest.mark.parametrize("number", [TERM, INT])
async def test_a_signal_drains(servers: Servers, place: Place, number: signal.Signals) -> None:
    """P24, F18: watchers are told to resume, tasks stay for the next start, exit 0 within seconds."""
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        image = await client.upload(PNG)
        tasks = [await client.edit_image("wait", [image.image_id], model="scripted/never") for _ in range(20)]
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        stub = ImageEditServiceStub(channel)
        watches = [stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id)) for task in tasks]
        for watch in watches:
            await watch.read()
        server.send(number)
        started = time.monotonic()
        outcomes = await asyncio.gather(*(_end(watch) for watch in watches))
        assert time.monotonic() - started < GRACE_SECONDS / 2
    assert {(outcome.code, outcome.reason) for outcome in outcomes} == {
        (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    }
    assert all(int(outcome.trailer["last-seq"]) >= 1 for outcome in outcomes)
    assert await server.ended() == 0
    last = json.loads(server.stderr().splitlines()[-1])
    assert (last["level"], last["message"]) == (
        "info",
        "drained and stopped; tasks left for the next start: 20",
    )
    assert await server.rest_of_stdout() == ""
    assert "Traceback" not in server.stderr()


async def _end(watch):
    try:
        while await watch.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError:
        pass
    return await outcome_of(watch)


PATIENT_SERVER = """
from imageedit_server import bootstrap, cli
bootstrap.CALLS_GRACE_SECONDS = 3600
cli.main()
"""


async def test_a_second_signal_ends_it_at_once(servers: Servers, place: Place) -> None:
    """F18: while it waits for a call that does not end, a second SIGTERM is the last word, and clean."""
    server = await servers.start(place, program=[sys.executable, "-c", PATIENT_SERVER])
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        begun = asyncio.Event()

        async def endless():
            yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
            begun.set()
            await asyncio.Event().wait()

        upload = ImageEditServiceStub(channel).UploadImage(endless())
        await begun.wait()
        await ImageEditServiceStub(channel).ListModels(pb.ListModelsRequest())
        server.send(TERM)
        await server.logs("draining")
        assert server.process.returncode is None
        server.send(TERM)
        assert await server.ended() == 128 + TERM
        upload.cancel()
    assert "stopped before it had drained" in server.stderr().splitlines()[-1]
    assert "Traceback" not in server.stderr()


async def test_a_signal_during_the_start_ends_it(servers: Servers, place: Place) -> None:
    """F18: as early as it can come, and in the middle; the next start finds everything well."""
    early = await servers.run(*place.arguments(), cold=True)
    early.send(TERM)
    middle = await servers.run(*place.arguments())
    await middle.logs("store opened")
    middle.send(TERM)
    for server in (early, middle):
        assert await server.ended() in (0, 143, -TERM)
        assert "Traceback" not in server.stderr()
    assert (await servers.start(place)).grpc


# What it is given, what it is told


async def test_its_files_are_its_owners_and_it_may_open_many(servers: Servers, place: Place) -> None:
    """Whatever the umask and the soft limit were that it was started with."""
    server = await servers.start(place, around=[*("sh", "-c"), 'umask 0; ulimit -Sn 256; exec "$@"', "sh"])
    async with AsyncClient(server.grpc) as client:
        await client.upload(PNG)
    soft, hard = _open_files(server.process.pid)
    assert soft == hard != "256"
    assert b"Umask:\t0077\n" in _read(Path(f"/proc/{server.process.pid}/status"))
    assert _open_to_others(place.data_dir) == []


def _open_files(pid: int) -> list[str]:
    """The soft and the hard limit of a process."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(line for line in limits if "open files" in line).split()[3:5]


def _open_to_others(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077]


DISK_THAT_LIES = """
import errno, os
from imageedit_server import cli

def fsync(descriptor):
    if "/images/" in os.readlink(f"/proc/self/fd/{descriptor}"):
        raise OSError(errno.EIO, "Input/output error")

os.fsync = fsync
cli.main()
"""


async def test_a_disk_that_lies_ends_it(servers: Servers, place: Place) -> None:
    """F22: an upload whose fsync fails is not acknowledged, and no defect; the process says why it ends."""
    server = await servers.start(place, program=[sys.executable, "-c", DISK_THAT_LIES])
    async with grpc.aio.insecure_channel(server.grpc) as channel:
        requests = [pb.UploadImageRequest(info={}), pb.UploadImageRequest(chunk=PNG)]
        outcome = await call(channel, "UploadImage", *requests)
    assert outcome.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
    assert outcome.reason in ("DRAINING", "")  # without one, the process had ended before it could say so
    assert await server.ended() == 1
    assert "StorageBroken" in [json.loads(line) for line in server.stderr().splitlines()][-1]["error"]


async def test_the_log_is_one_json_object_a_line_with_the_story_of_every_task(
    servers: Servers, place: Place
) -> None:
    """Every event has its line, with ids."""
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        task = await client.edit_image("x", [PNG], model="scripted/fail")
        failed = await client.wait(task.task_id)
    server.send(TERM)
    assert await server.ended() == 0
    lines = [json.loads(line) for line in server.stderr().splitlines()]
    story = [line for line in lines if line.get("task_id") == task.task_id and "seq" in line]
    assert [line["seq"] for line in story] == list(range(1, failed.seq + 1))
    assert story[0]["state"] == "QUEUED"
    last = {"state": "FAILED", "reason": "PROVIDER_REJECTED", "attempt": 1, "tenant": "default"}
    assert story[-1].items() >= last.items()


# What it shows


async def test_no_secret_and_no_prompt_is_logged_or_handed_on(servers: Servers, place: Place) -> None:
    """P26: not in the logs, not in the command line, not in the worker processes' environment."""
    key = {"IMAGEEDIT_PROVIDERS__SCRIPTED__API_KEY": CANARY}
    server = await servers.start(place, environment=key)
    async with AsyncClient(server.grpc) as client:
        task = await client.edit_image(f"prompt {CANARY}", [PNG], user_id=f"u-{CANARY}", model="local/basic")
        await client.wait(task.task_id)
    assert server.workers()
    for pid in (*server.fork_servers(), *server.workers()):
        folder = Path(f"/proc/{pid}")
        assert CANARY.encode() not in _read(folder / "environ") + _read(folder / "cmdline")
    server.send(TERM)
    assert await server.ended() == 0
    assert CANARY not in server.stderr()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # that process has ended
        return b""
