"""Names and connections: the only place that asks the resolver and opens sockets.

``Network`` is the seam where tests put another world under the clients. Everything above it decides which
address may be connected to; nothing below it looks up a name again.
"""

import asyncio
import logging
import socket
import ssl
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address

import certifi
import httpcore
import httpx

from imageedit_server.outbound import stream
from imageedit_server.outbound.errors import NameUnresolved
from imageedit_server.outbound.one_call import OneCallPool
from imageedit_server.outbound.urls import literal_of

CONNECT_SECONDS = 5.0
RESOLVE_SECONDS = 5.0
MAX_LOOKUPS = 32
MAX_CONNECTIONS = 1000
IDLE_SECONDS = 15.0
_ANY_PORT = 9

# httpcore tries to import it before every lock, and where it is missing each try searches the whole path:
# more than half of what a call costs. That it is missing is said here, once.
if find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

# A picture in fewer pieces: each costs as much as moving 100 KiB does.
httpcore.AsyncHTTP11Connection.READ_NUM_BYTES = stream.MOST_BUFFERED

# Their lines would hold whole URLs with signatures, and the headers of replies (P26).
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """Where an HTTP proxy is, and the header that it is told who asks with; empty when it is not."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)


class Network:
    """The machine's own resolver and sockets."""

    proxy: Proxy | None = None
    """What every connection goes through."""

    def __init__(self) -> None:
        self._lookups: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def resolve(self, host: str) -> tuple[str, ...]:
        """Return every address of ``host``, best first; an IP literal is its own. Never empty.

        Looks up off the loop, once for all who ask for the same name meanwhile. Raises ``NameUnresolved``,
        also after ``RESOLVE_SECONDS`` or with ``MAX_LOOKUPS`` names still open (F56).
        """
        if literal_of(host):
            return (host,)
        lookup = self._lookups.get(host) or self._look_up(host)
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                return await asyncio.shield(lookup)
        except TimeoutError:
            raise NameUnresolved("no answer in time") from None

    async def targets(self, host: str) -> tuple[str, ...]:
        """Return what to connect to for a host that the operator named. Raises ``NameUnresolved``."""
        return await self.resolve(host)

    async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
        """Connect to an IP address. Raises ``httpcore.ConnectError`` and ``httpcore.ConnectTimeout``."""
        return await stream.connect(address, port, limit_seconds)

    def is_own(self, address: str) -> bool:
        """Whether an IP address is this machine's: what it would reach is what listens here, we too.

        The routes tell, without a packet: to itself, a machine comes from the address that it goes to.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((address, _ANY_PORT))
                return ip_address(probe.getsockname()[0]) == ip_address(address)
        except OSError:  # no way there at all
            return False

    def _look_up(self, host: str) -> asyncio.Future[tuple[str, ...]]:
        if len(self._lookups) >= MAX_LOOKUPS:
            raise NameUnresolved("too many names are being looked up")
        loop = asyncio.get_running_loop()
        lookup: asyncio.Future[tuple[str, ...]] = loop.create_future()
        self._lookups[host] = lookup

        def settle(answer: tuple[str, ...] | NameUnresolved) -> None:
            del self._lookups[host]
            if isinstance(answer, NameUnresolved):
                lookup.set_exception(answer)
                lookup.exception()  # seen: those who asked may have stopped waiting
            else:
                lookup.set_result(answer)

        def work() -> None:
            answer = _addresses(host)
            try:
                loop.call_soon_threadsafe(settle, answer)
            except RuntimeError:  # the loop is closed
                self._lookups.pop(host, None)

        # Not the loop's own pool: a slow resolver would take its few threads from everyone else, and a
        # thread that hangs in it would hold up the exit.
        threading.Thread(target=work, name="resolve", daemon=True).start()
        return lookup


def _addresses(host: str) -> tuple[str, ...] | NameUnresolved:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a label that is empty or too long is a UnicodeError
        return NameUnresolved(str(error))
    addresses = tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    return addresses or NameUnresolved("no address")


def authorities(ca_file: str = "") -> ssl.SSLContext:
    """Believe the public authorities, and those of a PEM file. Raises ``OSError``, for no certificate too.

    Not by ``ssl.create_default_context``, which writes TLS's secrets where SSLKEYLOGFILE says.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= getattr(ssl, "VERIFY_X509_PARTIAL_CHAIN", 0)
    # Some systems' Python leaves it open.
    context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
    context.load_verify_locations(certifi.where())
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What a client relies on: whose certificates it believes, and its way to the network. Shared by many."""

    tls: ssl.SSLContext = field(default_factory=authorities)
    network: Network = field(default_factory=Network)


class Transport(httpx.AsyncHTTPTransport):
    """httpx's own transport over ``trust``: HTTP/1.1, nothing from the environment, no retries.

    With ``addresses``, connects to these alone, whatever the URL's host is; TLS still proves the host.
    With ``keep_alive`` an idle connection serves the next request to the same host.
    """

    def __init__(self, trust: Trust, *, addresses: Sequence[str] = (), keep_alive: bool = False) -> None:
        # httpx takes no network backend, its connection pool does; so its constructor is not called.
        kind = httpcore.AsyncConnectionPool if keep_alive else OneCallPool
        self._pool = kind(
            ssl_context=trust.tls,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            retries=0,
            network_backend=_Dialer(trust.network, addresses),
        )
        self._proxy = trust.network.proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request``; what goes to a proxy in plaintext has its whole URL, and the proxy's header."""
        if self._proxy and request.url.scheme == "http":
            request.extensions = {**request.extensions, "target": str(request.url).encode("ascii")}
            if self._proxy.authorization:
                request.headers["Proxy-Authorization"] = self._proxy.authorization
        return await super().handle_async_request(request)


class _Dialer(httpcore.AsyncNetworkBackend):
    def __init__(self, network: Network, addresses: Sequence[str]) -> None:
        self._network = network
        self._addresses = tuple(addresses)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the seam of httpcore
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers; each gets its share of the time that is left."""
        loop = asyncio.get_running_loop()
        addresses = self._addresses or await self._resolve(host)
        end = loop.time() + CONNECT_SECONDS
        for left, address in zip(range(len(addresses), 1, -1), addresses, strict=False):
            try:
                return await self._network.connect(address, port, (end - loop.time()) / left)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._network.connect(addresses[-1], port, end - loop.time())

    async def _resolve(self, host: str) -> tuple[str, ...]:
        try:
            return await self._network.targets(host)
        except NameUnresolved as error:
            raise httpcore.ConnectError("name not resolved") from error
