"""The way out through an operator's HTTP proxy: CONNECT for https, requests with whole URLs for http.

Never taken from the environment. What a proxy refuses was not sent: the tunnel is there before a byte of a
request is.
"""

import asyncio
import base64
from urllib.parse import unquote

import httpcore

from imageedit_server.outbound import stream
from imageedit_server.outbound.errors import NameUnresolved
from imageedit_server.outbound.network import Network, Proxy
from imageedit_server.outbound.urls import host_of, parse_url, port_of

MAX_PORT = 65535
_FORM = "must be http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT"


def parse_proxy(text: str) -> Proxy:
    """Read ``http://[USER:PASSWORD@]HOST:PORT``. Raises ``ValueError``, whose text has no password."""
    url = parse_url(text)
    if url is None or url.scheme != "http" or not url.raw_host or url.raw_path != b"/" or url.fragment:
        raise ValueError(_FORM)
    if not 1 <= port_of(url) <= MAX_PORT:
        raise ValueError(_FORM)
    authorization = ""
    if url.userinfo:
        plain = unquote(url.userinfo.decode()).encode()
        authorization = f"Basic {base64.b64encode(plain).decode()}"
    return Proxy(host=host_of(url), port=port_of(url), authorization=authorization)


class ProxiedNetwork(Network):
    """Connects through a proxy, which looks up the vendors' names.

    Names that somebody else gave are looked up here: the proxy is asked for the addresses that were judged.
    """

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self.proxy = proxy

    async def targets(self, host: str) -> tuple[str, ...]:
        """Leave the name to the proxy."""
        return (host,)

    async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
        """Connect to the proxy. Raises ``httpcore.ConnectError`` and ``httpcore.ConnectTimeout``."""
        assert self.proxy is not None
        end = asyncio.get_running_loop().time() + limit_seconds
        try:
            addresses = await self.resolve(self.proxy.host)
        except NameUnresolved as error:
            raise httpcore.ConnectError("the proxy's name is not resolved") from error
        left = max(end - asyncio.get_running_loop().time(), 0)
        return await stream.connect(addresses[0], self.proxy.port, left, tunnel=self._tunnel(address, port))

    def _tunnel(self, host: str, port: int) -> bytes:
        """Return the request for a tunnel."""
        assert self.proxy is not None
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        if self.proxy.authorization:
            lines.append(f"Proxy-Authorization: {self.proxy.authorization}")
        return "\r\n".join([*lines, "", ""]).encode()
