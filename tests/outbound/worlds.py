"""A network below the rule: names answer what a test says, public addresses are servers on loopback."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any

import httpcore

from imageedit_server.outbound.errors import NameUnresolved
from imageedit_server.outbound.network import Network, Trust
from imageedit_server.outbound.urls import literal_of
from tests.outbound.servers import client_tls

PUBLIC = "93.184.216.34"
OTHER_PUBLIC = "2606:4700:4700::1111"

Answers = Mapping[str, Sequence[tuple[str, ...]]]


class World(Network):
    """``names`` gives each name's answers in turn, the last one for ever; ``ports`` the server at an address.

    What is neither of these nor loopback is down, and noted in ``connected`` like all others.
    """

    def __init__(self, names: Answers, ports: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self._names = {name: list(answers) for name, answers in names.items()}
        self._ports = ports or {}
        self.asked: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.own: set[str] = set()

    async def resolve(self, host: str) -> tuple[str, ...]:
        if literal_of(host):
            return (host,)
        self.asked.append(host)
        answers = self._names.get(host)
        if not answers:
            raise NameUnresolved("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def is_own(self, address: str) -> bool:
        return address in self.own

    async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
        self.connected.append((address, port))
        if address in self._ports:
            return await super().connect("127.0.0.1", self._ports[address], limit_seconds)
        if not ip_address(address).is_loopback:
            raise httpcore.ConnectError("down")
        return await super().connect(address, port, limit_seconds)


class Silent(Network):
    """A network where no connection is ever made."""

    async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
        await asyncio.sleep(limit_seconds)
        raise httpcore.ConnectTimeout


def trust(network: Network | None = None) -> Trust:
    """Believe the test's authority, over ``network``."""
    return Trust(tls=client_tls(), network=network or Network())


_watchers: list[list[tuple[str, Any]]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        for watcher in _watchers:
            watcher.append((event, args[1] if event == "socket.connect" else args[0]))


sys.addaudithook(_audit)  # sees every connect() of the process, whoever asks for it


@contextmanager
def watched_sockets() -> Iterator[list[tuple[str, Any]]]:
    """Collect every ``socket.connect`` with its address and every ``socket.getaddrinfo`` with its name."""
    seen: list[tuple[str, Any]] = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def connects(seen: list[tuple[str, Any]]) -> list[Any]:
    """Return the addresses connected to."""
    return [where for event, where in seen if event == "socket.connect"]
