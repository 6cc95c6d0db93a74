"""The programs, and their files of docs/proxies with other addresses and certificates in them."""

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.outbound.servers import CERTS

DOCS = Path(__file__).parents[2] / "docs" / "proxies"
PATIENCE_SECONDS = 20.0
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Doors:
    """Where a proxy listens."""

    plain: str
    tls: str
    ca_file: Path = CERTS / "test-only-ca.pem"

    @classmethod
    def free(cls) -> "Doors":
        """Find two addresses that nobody listens on."""
        with ExitStack() as stack:
            sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
            plain, tls = (f"127.0.0.1:{each.getsockname()[1]}" for each in sockets)
        return cls(plain=plain, tls=tls)

    async def opened(self, process: Process) -> None:
        """Wait until both can be connected to. Raises ``AssertionError`` when the process ended before."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for address in (self.plain, self.tls):
                while not await _is_open(address):
                    assert process.returncode is None, f"the proxy ended with {process.returncode}"
                    await asyncio.sleep(0.05)


async def _is_open(address: str) -> bool:
    host, port = address.split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """A program that may be installed. ``adapted`` says what stands in its file for what is documented."""

    name: str
    file: Path
    arguments: tuple[str, ...]
    adapted: Callable[[Path], Mapping[str, str]]

    @property
    def program(self) -> str | None:
        """Where it is."""
        return shutil.which(self.name, path=PATH)

    def configuration(self, folder: Path, doors: Doors, grpc: str, http: str) -> str:
        """Return its documented file for these addresses; each that is documented must be in it."""
        text = self.file.read_text()
        texts = {"127.0.0.1:50051": grpc, "127.0.0.1:8080": http, **self.adapted(folder)}
        texts |= {f"{self._listen}{old}": f"{self._listen}{new}" for old, new in self._doors(doors)}
        for old, new in texts.items():
            assert old in text, (self.file, old)
            text = text.replace(old, new)
        return text

    @asynccontextmanager
    async def running(self, folder: Path, doors: Doors, grpc: str, http: str) -> AsyncIterator[Process]:
        """Run it before a server until the block ends, with the certificate of the tests."""
        _install(folder, self.configuration(folder, doors, grpc, http))
        assert self.program is not None
        process = await asyncio.create_subprocess_exec(
            self.program, *self.arguments, str(folder / "proxy.conf"), cwd=folder
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    @property
    def _listen(self) -> str:
        return "listen " if self.name == "nginx" else "bind "

    def _doors(self, doors: Doors) -> tuple[tuple[str, str], ...]:
        colon = "" if self.name == "nginx" else ":"
        return ((f"{colon}443", doors.tls), (f"{colon}50050", doors.plain))


def _install(folder: Path, configuration: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chain, key = (CERTS / f"test-only-localhost.{kind}" for kind in ("pem", "key"))
    (folder / "edits.pem").write_text(chain.read_text() + key.read_text())
    (folder / "edits.key").write_text(key.read_text())
    (folder / "proxy.conf").write_text(configuration)


def _nginx_paths(folder: Path) -> Mapping[str, str]:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return {
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/error.log": f"{folder}/error.log",
        "/etc/nginx/edits.": f"{folder}/edits.",
        "access_log off;": f"access_log off; {temporary}",
    }


NGINX = Proxy(
    name="nginx",
    file=DOCS / "nginx.conf",
    arguments=("-g", "daemon off;", "-c"),
    adapted=_nginx_paths,
)
PROGRAMS = (
    NGINX,
    Proxy(
        name="haproxy",
        file=DOCS / "haproxy.cfg",
        arguments=("-db", "-f"),
        adapted=lambda folder: {"/etc/haproxy/edits.pem": f"{folder}/edits.pem"},
    ),
)
