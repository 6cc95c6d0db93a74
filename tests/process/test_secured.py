"""A secured server as its operator meets it: keys made, shown once, taken up and taken away (P23, P26)."""

import asyncio
import json
import re
import shutil
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from imageedit_client import AsyncClient, ImageEditError
from tests.outbound.servers import CERTS
from tests.rpc import http2
from tests.rpc.callers import hash_of
from tests.rpc.waiting import eventually
from tests.servers.places import Place
from tests.servers.processes import Server, Servers
from tests.servers.programs import CLIENT_COMMAND, COMMAND, run_to_end

BUF = Path(sys.executable).with_name("buf")
SERVICE = "imageedit.v1.ImageEditService"
KEY = re.compile(r"imageedit_[A-Za-z0-9_-]{43}")

SECURED = """
[auth]
mode = "api_key"

[tls]
cert_file = "server.pem"
key_file = "server.key"
"""


class SecuredPlace(Place):
    """A place whose server speaks TLS and asks for keys."""

    def config(self) -> Path:
        """Write the file and what it names."""
        path = super().config()
        path.write_text(path.read_text() + SECURED)
        shutil.copy(CERTS / "test-only-localhost.pem", self.folder / "server.pem")
        shutil.copy(CERTS / "test-only-localhost.key", self.folder / "server.key")
        return path


async def run(*command: str | Path, **environment: str) -> tuple[int, str, str]:
    """Run a command to its end; return its exit code, stdout and stderr."""
    ran = await run_to_end(*command, variables=environment)
    assert "Traceback" not in ran.err
    return ran.code, ran.out, ran.err


async def new_key(config: Path, tenant: str) -> str:
    """Make a key as an operator does; stdout is the key alone."""
    code, out, err = await run(COMMAND, "keys", "new", tenant, "--config", config)
    key = out.removesuffix("\n")
    assert code == 0, err
    assert KEY.fullmatch(key)
    assert key not in err
    assert re.fullmatch(rf"{tenant} \(key {hash_of(key)[7:15]}\) is now in \S+keys\.toml\n", err)
    return key


async def models(server: Server, *options: str | Path, **environment: str) -> tuple[int, str, str]:
    """Call through TLS with the command line."""
    address = server.grpc.replace("127.0.0.1", "localhost")
    return await run(CLIENT_COMMAND, "--address", address, *options, "models", **environment)


async def test_from_no_key_to_a_revoked_one(servers: Servers, tmp_path: Path) -> None:
    """The whole life of a key: made, used by every client, taken away; and never in a log or argument."""
    place = SecuredPlace(folder=tmp_path)
    config = place.config()
    first = await new_key(config, "alice")
    server = await servers.start(place)
    ca = CERTS / "test-only-ca.pem"
    (tmp_path / "key").write_text(f"{first}\n")
    code, out, err = await models(server, "--ca-file", ca, "--api-key-file", tmp_path / "key")
    assert (code, "scripted/ok" in out) == (0, True), err

    code, _, err = await models(server, "--ca-file", ca)
    assert (code, "CREDENTIALS_MISSING" in err) == (4, True)

    second = await new_key(config, "bob")  # while it serves
    await server.logs("keys.toml again")
    code, out, err = await models(server, IMAGEEDIT_API_KEY=second, IMAGEEDIT_CA_FILE=str(ca))
    assert (code, "scripted/ok" in out) == (0, True), err
    code, out, err = await curl(server, second)
    assert (code, "scripted/ok" in out) == (0, True), err

    keys = tmp_path / "keys.toml"
    kept = [line for line in keys.read_text().splitlines() if "bob" not in line]
    keys.write_text("\n".join(kept))
    await eventually(lambda: server.stderr().count("keys.toml again") == 2)
    for key, answered in ((first, True), (second, False)):
        async with AsyncClient(server.grpc, ca_file=ca, api_key=key) as client:
            assert answered == (await outcome(client) is None)
    assert first not in server.stderr()
    assert second not in server.stderr()


async def outcome(client: AsyncClient) -> str | None:
    """Return why a call is refused, None when it is not."""
    try:
        await client.list_models()
    except ImageEditError as error:
        return error.reason
    return None


async def curl(server: Server, key: str) -> tuple[int, str, str]:
    """Call with ``buf curl``, which finds the service by reflection, under the key."""
    url = f"https://{server.grpc.replace('127.0.0.1', 'localhost')}/{SERVICE}/ListModels"
    header = f"authorization: Bearer {key}"
    options = ("--protocol", "grpc", "--cacert", CERTS / "test-only-ca.pem", "--header", header)
    return await run(BUF, "curl", *options, "--reflect-header", header, url, HOME=str(CERTS))


async def test_handshakes_that_fail_write_no_lines_of_another_form(servers: Servers, tmp_path: Path) -> None:
    """Strangers cause them at will: gRPC's own lines would stand between those of the log, which are JSON."""
    place = SecuredPlace(folder=tmp_path)
    await new_key(place.config(), "alice")
    server = await servers.start(place)
    host, port = server.grpc.split(":")
    for _ in range(5):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()
    server.send(signal.SIGTERM)
    assert await server.ended() == 0
    lines = server.stderr().splitlines()
    assert [json.loads(line)["level"] for line in lines]


async def test_bad_frames_write_no_lines_of_another_form(servers: Servers, tmp_path: Path) -> None:
    """Those would be of gRPC's level ERROR, and strangers cause them at will too."""
    server = await servers.start(Place(folder=tmp_path))
    async with http2.peer(server.grpc) as stranger:
        await stranger.send(http2.call(http2.head((b"grpc-timeout", b"soon"))))
        await stranger.answered()
    server.send(signal.SIGTERM)
    assert await server.ended() == 0
    assert [json.loads(line)["level"] for line in server.stderr().splitlines()]


async def test_a_public_server_without_tls_says_so(servers: Servers, tmp_path: Path) -> None:
    """Allowed, since something in front may speak TLS; one clear line, at the start and not in the way."""
    place = Place(folder=tmp_path)
    config = place.config()
    (tmp_path / "keys.toml").touch()
    config.write_text(config.read_text() + '[auth]\nmode = "api_key"\n')
    arguments = ("serve", "--config", str(config), "--http-listen", "127.0.0.1:0", "--listen")
    with socket.create_server(("127.0.0.1", 0)) as taken:  # so that nothing really listens to others
        public = f"0.0.0.0:{taken.getsockname()[1]}"
        server = await servers.run(*arguments, public)
        assert await server.ended() == 2
    warnings = [line for line in server.stderr().splitlines() if "without TLS" in line]
    assert len(warnings) == 1
    assert public in warnings[0]
    assert "has no keys" in server.stderr()


async def test_what_does_not_speak_tls_leaves_no_line(servers: Servers, tmp_path: Path) -> None:
    """gRPC's own words would stand between the lines of JSON, as many as a stranger likes."""
    place = SecuredPlace(folder=tmp_path)
    config = place.config()
    await new_key(config, "shop")
    server = await servers.start(place)
    host, port = server.grpc.rsplit(":", 1)
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\n\r\n" * 100)
        with suppress(ConnectionError):
            while await reader.read(1024):
                pass
        writer.close()
    server.send(signal.SIGTERM)
    assert await server.ended() == 0
    assert all(json.loads(line)["message"] for line in server.stderr().splitlines())


async def test_a_bad_tenant_is_a_sentence(tmp_path: Path) -> None:
    """Exit 2, nothing on stdout, no file."""
    config = tmp_path / "config.toml"
    config.touch()
    code, out, err = await run(COMMAND, "keys", "new", "a b", "--config", config)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"imageedit-server: a tenant's name is [^\n]+\n", err)
    assert not (tmp_path / "keys.toml").exists()


async def test_a_keys_file_that_is_missing_stops_the_start(servers: Servers, tmp_path: Path) -> None:
    """And names the way out."""
    place = SecuredPlace(folder=tmp_path)
    server = await servers.run(*place.arguments())
    assert await server.ended() == 2
    (sentence,) = [line for line in server.stderr().splitlines() if line.startswith("imageedit-server: ")]
    assert "keys.toml" in sentence
    assert "keys new" in sentence
