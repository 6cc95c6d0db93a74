"""The HTTP door of a whole server: alive, ready, draining; and what strangers send to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from imageedit_server.web import server
from imageedit_server.web.app import http_app
from tests.rpc.serving import SCRIPTED, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with the scripted provider, for all that leaves it as it was."""
    async with serving(tmp_path_factory.mktemp("server"), SCRIPTED) as served:
        yield served


@pytest_asyncio.fixture(loop_scope="module")
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the HTTP door that looks at no proxies."""
    async with client_of(served) as client:
        yield client


def client_of(served: Served) -> httpx.AsyncClient:
    url = f"http://{served.server.http_address}"
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=60)


@pytest.mark.parametrize(("path", "text"), [("/healthz", "ok"), ("/readyz", "ready")])
async def test_a_server_that_serves_is_alive_and_ready(http: httpx.AsyncClient, path: str, text: str) -> None:
    """200, to GET and to HEAD."""
    answer = await http.get(path)
    assert (answer.status_code, answer.text.strip()) == (200, text)
    assert (await http.head(path)).status_code == 200


async def test_a_server_that_drains_is_alive_and_not_ready(tmp_path: Path) -> None:
    """P24: /readyz turns at once, /healthz stays: send it nothing, but let it live."""
    async with serving(tmp_path, SCRIPTED) as served, client_of(served) as http:
        draining = asyncio.ensure_future(served.server.drain())
        await asyncio.sleep(0)
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.text.strip()) == (503, "draining")
        await draining
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
async def test_other_methods_are_not_allowed(http: httpx.AsyncClient, method: str) -> None:
    """405, and nothing is changed."""
    for path in ("/healthz", "/readyz"):
        assert (await http.request(method, path)).status_code == 405


@pytest.mark.parametrize(
    "path", ["/", "/healthz/", "/metrics/", "/healthz/../etc/passwd", "/favicon.ico", "/%00", "/callbacks/x"]
)
async def test_other_paths_lead_nowhere(http: httpx.AsyncClient, path: str) -> None:
    """404, a short text, and no word about what runs here."""
    answer = await http.get(path)
    assert answer.status_code in (404, 405)
    assert "server" not in answer.headers
    assert len(answer.text) < 100


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
    ],
    ids=[
        "nothing",
        "empty lines",
        "no path",
        "version",
        "TLS",
        "HTTP/2",
        "length",
        "smuggling",
        "path",
        "header",
    ],
)
async def test_what_is_not_http_never_is_a_5xx(served: Served, http: httpx.AsyncClient, raw: bytes) -> None:
    """A 4xx or a closed connection, and the door stays open."""
    host, port = served.server.http_address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    answer = b""
    with suppress(ConnectionError):  # closed on us is an answer too
        writer.write(raw)
        writer.write_eof()
        async with asyncio.timeout(60):
            answer = await reader.read()
    writer.close()
    assert not answer.startswith(b"HTTP/1.1 5"), answer[:200]
    assert (await http.get("/healthz")).status_code == 200


@pytest.mark.parametrize("before", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["first", "next"])
async def test_a_request_that_never_comes_does_not_hold_a_connection(
    monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    """Each would cost a file descriptor, which gRPC and the store need too."""

    async def nothing(*_args: object) -> None:
        """No vendor calls, nothing is measured."""

    monkeypatch.setattr(server, "HEAD_SECONDS", 0.2)
    async with server.http_door("127.0.0.1", 0, http_app(lambda: "", nothing, nothing)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(before)
        answer = await reader.readuntil(b"ok\n") if before else b""
        writer.write(b"POST /callbacks/kie/token HTTP/1.1\r\nHost: ")
        async with asyncio.timeout(30):
            answer += await reader.read()
        writer.close()
    assert answer.count(b"HTTP/1.1") == bool(before)
