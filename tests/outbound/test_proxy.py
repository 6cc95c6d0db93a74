"""An operator's proxy and authorities: settings, and never what the environment says."""

import asyncio
import base64
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imageedit_server.bootstrap.providers import trust_of
from imageedit_server.outbound.client import ApiClient, NotSent
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.outbound.network import Trust, authorities
from imageedit_server.outbound.proxy import ProxiedNetwork, parse_proxy
from imageedit_server.settings import OutboundSettings, SettingsError
from tests.outbound.servers import CERTS, Reader, Writer, client_tls, reply, serve, serve_raw
from tests.outbound.worlds import PUBLIC

CA = CERTS / "test-only-ca.pem"


@dataclass
class Seen:
    """What a proxy was asked, by first line and header; ``port`` is where whatever is asked for is found."""

    port: int
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    url: str = ""
    lines: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def proxying(to: int, answer: bytes = b"") -> AsyncIterator[Seen]:
    """A proxy in front of the server at a port, whatever host it is asked for."""
    seen = Seen(to)

    async def handler(reader: Reader, writer: Writer) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        seen.heads.append(head.decode())
        seen.lines.append(head.decode().split("\r\n")[0])
        if answer:
            writer.write(answer)
            await writer.drain()
            return
        there, towards = await asyncio.open_connection("127.0.0.1", to)
        if head.startswith(b"CONNECT "):
            writer.write(seen.answer)
        else:
            towards.write(head)
        pumps = [asyncio.create_task(pump(reader, towards)), asyncio.create_task(pump(there, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in pumps:
                each.cancel()
            towards.transport.abort()
            with suppress(ConnectionError):
                await towards.wait_closed()

    async with serve_raw(handler) as server:
        seen.url = server.url
        yield seen


async def pump(reader: Reader, writer: Writer) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)


def through(seen: Seen, user: str = "") -> Trust:
    url = seen.url.replace("http://", f"http://{user}@") if user else seen.url
    return Trust(tls=client_tls(), network=ProxiedNetwork(parse_proxy(url)))


@asynccontextmanager
async def client(base_url: str, trust: Trust) -> AsyncIterator[ApiClient]:
    found = ApiClient(base_url, {"Authorization": "Bearer vendor-key"}, trust=trust)
    try:
        yield found
    finally:
        await found.aclose()


# Vendors


async def test_https_goes_through_a_tunnel_to_the_vendors_name() -> None:
    """Its certificate is the vendor's, its name is looked up by the proxy, its key is in no word to it."""
    async with (
        serve(reply(200, b'{"a":1}'), certificate="good.example") as vendor,
        proxying(vendor.port) as proxy,
        client("https://good.example", through(proxy)) as api,
    ):
        for method in ("GET", "POST"):
            assert (await api.send(method, "/x", json={}, limit_seconds=10)).status == 200
    assert proxy.lines == ["CONNECT good.example:443 HTTP/1.1"] * 2
    assert "vendor-key" not in "".join(proxy.heads)
    assert [call.header("host") for call in vendor.calls] == ["good.example"] * 2


async def test_another_certificate_than_the_vendors_is_not_believed() -> None:
    async with (
        serve(reply(), certificate="other.example") as other,
        proxying(other.port) as proxy,
        client("https://good.example", through(proxy)) as api,
    ):
        with pytest.raises(NotSent):
            await api.send("POST", "/x", limit_seconds=10)
    assert not other.calls


async def test_http_is_asked_for_by_its_whole_url() -> None:
    async with (
        serve(reply()) as vendor,
        proxying(vendor.port) as proxy,
        client(f"http://localhost:{vendor.port}/v1", through(proxy)) as api,
    ):
        await api.send("POST", "/x", json={}, limit_seconds=10)
    assert proxy.lines == [f"POST http://localhost:{vendor.port}/v1/x HTTP/1.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_is_told_who_asks(scheme: str) -> None:
    expected = base64.b64encode(b"me:pass word").decode()
    async with (
        serve(reply(), certificate="good.example" if scheme == "https" else "") as vendor,
        proxying(vendor.port) as proxy,
        client(f"{scheme}://good.example", through(proxy, "me:pass%20word")) as api,
    ):
        await api.send("GET", "/x", limit_seconds=10)
    assert f"Proxy-Authorization: Basic {expected}\r\n" in proxy.heads[0]
    if scheme == "https":
        assert vendor.calls[0].header("proxy-authorization") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"x" * 20_000,
        b"HTTP/1.1 200 OK",
        b" ",
    ],
    ids=range(7),
)
async def test_what_a_proxy_refuses_was_not_sent(answer: bytes) -> None:
    """Nothing is paid: the engine may try again, as with a vendor that cannot be reached."""
    async with proxying(1, answer) as proxy, client("https://good.example", through(proxy)) as api:
        with pytest.raises(NotSent):
            await api.send("POST", "/paid", json={}, limit_seconds=10)


async def test_without_its_proxy_nothing_goes_out() -> None:
    async with serve(reply()) as vendor, proxying(vendor.port) as proxy:
        trust = through(proxy)
    async with client(vendor.url, trust) as api:
        with pytest.raises(NotSent):
            await api.send("GET", "/x", limit_seconds=10)


# URLs that somebody else gave


class Names(ProxiedNetwork):
    """Names of the test, over a real proxy."""

    async def resolve(self, host: str) -> tuple[str, ...]:
        return {"good.example": (PUBLIC,), "inner.example": ("10.0.0.1",)}.get(host, (host,))

    def is_own(self, address: str) -> bool:
        return False


async def test_a_fetch_asks_the_proxy_for_the_addresses_that_were_judged() -> None:
    """A name would be looked up once more by the proxy, where it may lead elsewhere (P17)."""
    async with (
        serve(reply(200, b"picture"), certificate="good.example") as host,
        proxying(host.port) as proxy,
    ):
        trust = Trust(tls=client_tls(), network=Names(parse_proxy(proxy.url)))
        fetch = GuardedFetch(trust=trust)
        async with fetch.open("https://good.example/a", max_bytes=100, limit_seconds=10) as fetched:
            assert b"".join([chunk async for chunk in fetched.chunks()]) == b"picture"
        with pytest.raises(UrlRefused):
            async with fetch.open("https://inner.example/a", max_bytes=100, limit_seconds=10):
                pass
    assert proxy.lines == [f"CONNECT {PUBLIC}:443 HTTP/1.1"]


async def test_a_fetch_that_the_proxy_refuses_has_failed() -> None:
    async with proxying(1, b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        trust = Trust(tls=client_tls(), network=Names(parse_proxy(proxy.url)))
        with pytest.raises(FetchFailed):
            async with GuardedFetch(trust=trust).open(
                "https://good.example/a", max_bytes=9, limit_seconds=10
            ):
                pass


# Settings


@pytest.mark.parametrize(
    "text",
    [
        *("proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://", "http://proxy:3128/path"),
        *("http://proxy:3128/?a", "http://proxy:3128/#a", "http://proxy:70000", "http://user:secret@"),
    ],
)
def test_a_proxy_that_is_none_is_named_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be http://HOST:PORT") as refused:
        parse_proxy(text)
    assert "secret" not in str(refused.value)


def test_a_proxys_password_is_in_no_text() -> None:
    assert "c2VjcmV0" not in repr(parse_proxy("http://:secret@proxy:1"))


async def test_a_private_authority_is_believed_beside_the_public_ones(tmp_path: Path) -> None:
    """Control: without it nobody believes the tests' certificates."""
    async with serve(reply(), certificate="localhost") as vendor:
        url = f"https://localhost:{vendor.port}"
        async with client(url, trust_of(OutboundSettings(ca_file=str(CA)))) as api:
            assert (await api.send("GET", "/x", limit_seconds=10)).status == 200
        async with client(url, trust_of(OutboundSettings())) as api:
            with pytest.raises(NotSent):
                await api.send("GET", "/x", limit_seconds=10)
    both, public = (len(authorities(file).get_ca_certs()) for file in (str(CA), ""))
    assert both == public + 1 > 50


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_authorities_that_cannot_be_read_stop_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError, match=r"^outbound.ca_file: \S+ca.pem cannot be used: .+"):
        trust_of(OutboundSettings(ca_file=str(file)))


# The environment


ASKED = """
import ssl, sys
from imageedit_server.bootstrap.providers import trust_of
from imageedit_server.settings import OutboundSettings
trust = trust_of(OutboundSettings())
print(trust.tls.keylog_filename, trust.network.proxy, len(trust.tls.get_ca_certs()) > 50)
"""


def test_the_environment_names_no_proxy_no_authority_and_no_place_for_secrets(tmp_path: Path) -> None:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    given = dict.fromkeys(names, "http://127.0.0.1:1")
    given |= {"SSLKEYLOGFILE": str(tmp_path / "keys"), "SSL_CERT_FILE": "/dev/null", "SSL_CERT_DIR": "/dev"}
    told = subprocess.run(
        [sys.executable, "-c", ASKED], env=os.environ | given, capture_output=True, text=True, check=True
    )
    assert told.stdout == "None None True\n"
    assert not (tmp_path / "keys").exists()


def test_contexts_are_as_strict_as_the_standard_ones() -> None:
    ours, standard = authorities(), ssl.create_default_context()
    assert ours.check_hostname
    assert ours.verify_mode is ssl.CERT_REQUIRED
    assert ours.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert ours.options & standard.options == standard.options
