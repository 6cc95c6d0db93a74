"""A secret stays in the process that needs it: in no command line, worker, core file or log (P26, T10)."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient
from tests.images.pictures import PHOTO
from tests.servers.places import Place
from tests.servers.processes import Server, Servers

MARK = secrets.token_hex(8)
VARIABLES = (
    "OPENAI_API_KEY",
    "KIE_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "IMAGEEDIT_PROVIDERS__KIE__CALLBACK_HMAC_KEY",
)
FILE_KEY = f"canary-file-{MARK}"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def test_what_the_operator_keeps_secret_stays_in_the_server(servers: Servers, place: Place) -> None:
    key_file = place.folder / "relay.key"
    key_file.write_text(FILE_KEY)
    config = place.folder / "keys.toml"
    config.write_text(
        f"""
        [providers.kie]
        adapter = "kie"
        api_key_env = "KIE_API_KEY"
        [providers.openai]
        adapter = "openai"
        api_key_env = "OPENAI_API_KEY"
        [providers.relay]
        adapter = "openai"
        base_url = "https://relay.example.com"
        api_key_file = "{key_file}"
        models = {{ "relay/m" = "m" }}
        """
    )
    environment = {name: f"canary-{number}-{MARK}" for number, name in enumerate(VARIABLES)}
    server = await servers.run(
        *("serve", "--config", str(config), "--data-dir", str(place.data_dir)),
        *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"),
        environment=environment,
        cold=True,  # what a process was born with can be read for as long as it lives
    )
    await server.ready()
    async with AsyncClient(server.grpc) as client:
        task = await client.edit_image("make it warmer", [PHOTO], model="local/basic")
        assert (await client.wait(task.task_id)).state == task_pb2.Task.STATE_SUCCEEDED
        assert server.workers()
        others = [Path(f"/proc/{pid}") for pid in (*server.fork_servers(), *server.workers())]
        assert MARK in _text(_process(server) / "environ"), "the test can see what it looks for"
        for process in (_process(server), *others):
            assert MARK not in _text(process / "cmdline")
            assert "Max core file size 0 0 bytes" in " ".join(_text(process / "limits").split())
        for process in others:
            names = {entry.partition("=")[0] for entry in _text(process / "environ").split("\0")}
            assert MARK not in _text(process / "environ")
            assert not names & {*environment, "HOME", "USER"}
            assert not _open_files(process) & _open_files(_process(server)), "nor a file of the server's"
    assert MARK not in server.stderr()
    for path in place.data_dir.rglob("*"):
        assert not path.is_file() or MARK.encode() not in path.read_bytes(), path


SERVES = """
import asyncio, ctypes
from imageedit_server import process
def stop(*_, **__):
    raise SystemExit(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))  # PR_GET_DUMPABLE
process.running = stop
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
asyncio.run(process.serve(None, print))
"""


def test_what_serves_is_closed_to_other_processes_of_its_user() -> None:
    """Their way to its memory, its environment and its sockets; without it, a worker has none either."""
    ran = subprocess.run([sys.executable, "-c", SERVES], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.returncode) == ("1\n", 0), ran.stderr


def _process(server: Server) -> Path:
    return Path(f"/proc/{server.process.pid}")


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _open_files(process: Path) -> set[str]:
    """Return what the process has open, but for its log and nothing."""
    found = {os.readlink(link) for link in (process / "fd").iterdir()}
    return {target for target in found if target.startswith("/") and "stderr" not in target} - {"/dev/null"}
