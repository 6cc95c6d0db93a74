"""Looking up names (F56): off the loop, within a limit, once for all who ask."""

import asyncio
import fcntl
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from imageedit_server.outbound import network
from imageedit_server.outbound.errors import NameUnresolved
from imageedit_server.outbound.network import Network
from tests.outbound.worlds import watched_sockets

PATIENCE_SECONDS = 60.0
SIOCGIFADDR = 0x8915


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Let the resolver's threads go at the end."""
    event = threading.Event()
    yield event
    event.set()
    for thread in threading.enumerate():
        if thread.name == "resolve":
            thread.join(PATIENCE_SECONDS)


def answering(monkeypatch: pytest.MonkeyPatch, work: Callable[[str], list[str]]) -> list[str]:
    asked: list[str] = []

    def getaddrinfo(host: str, port: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in work(host)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def after(release: threading.Event) -> Callable[[str], list[str]]:
    def work(host: str) -> list[str]:
        release.wait(PATIENCE_SECONDS)
        return ["1.1.1.1"]

    return work


async def test_a_name_has_all_its_addresses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda _: ["1.1.1.1", "::1", "1.1.1.1"])
    assert await Network().resolve("good.example") == ("1.1.1.1", "::1")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "93.184.216.34"])
async def test_an_address_is_not_looked_up(host: str) -> None:
    with watched_sockets() as seen:
        assert await Network().resolve(host) == (host,)
    assert seen == []


@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "NXDOMAIN"), UnicodeError("label too long"), OSError()]
)
async def test_no_answer_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(host: str) -> list[str]:
        raise error

    answering(monkeypatch, fail)
    with pytest.raises(NameUnresolved):
        await Network().resolve("good.example")


async def test_an_empty_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda _: [])
    with pytest.raises(NameUnresolved):
        await Network().resolve("good.example")


async def test_a_real_name_is_found_and_a_wrong_one_is_not() -> None:
    assert "127.0.0.1" in await Network().resolve("localhost")
    with pytest.raises(NameUnresolved):
        await Network().resolve("a" * 64 + ".example")


async def test_a_slow_resolver_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    asked = answering(monkeypatch, after(release))
    monkeypatch.setattr(network, "RESOLVE_SECONDS", 0.1)
    names = Network()
    results = await asyncio.gather(
        *[names.resolve("slow.example") for _ in range(20)], return_exceptions=True
    )
    assert {type(result) for result in results} == {NameUnresolved}
    assert asked == ["slow.example"]
    assert await asyncio.to_thread(lambda: "the loop's own threads are free")


async def test_the_late_answer_is_taken_by_the_next_who_asks(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    asked = answering(monkeypatch, after(release))
    monkeypatch.setattr(network, "RESOLVE_SECONDS", 0.02)
    names = Network()
    with pytest.raises(NameUnresolved):
        await names.resolve("slow.example")
    monkeypatch.setattr(network, "RESOLVE_SECONDS", PATIENCE_SECONDS)
    waiting = asyncio.create_task(names.resolve("slow.example"))
    await asyncio.sleep(0)
    release.set()
    assert await waiting == ("1.1.1.1",)
    assert asked == ["slow.example"]
    assert await names.resolve("slow.example") == ("1.1.1.1",)
    assert asked == ["slow.example"] * 2


async def test_only_so_many_names_are_looked_up_at_once(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    answering(monkeypatch, after(release))
    monkeypatch.setattr(network, "MAX_LOOKUPS", 3)
    names = Network()
    waiting = [asyncio.create_task(names.resolve(f"{number}.example")) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(NameUnresolved):
        await names.resolve("one.too.many.example")
    assert await names.resolve("127.0.0.1") == ("127.0.0.1",)
    release.set()
    assert await asyncio.gather(*waiting) == [("1.1.1.1",)] * 3


async def test_whoever_stops_waiting_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, release: threading.Event
) -> None:
    answering(monkeypatch, after(release))
    names = Network()
    first, second = (asyncio.create_task(names.resolve("slow.example")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    release.set()
    assert await second == ("1.1.1.1",)


def test_a_closed_loop_is_forgotten(monkeypatch: pytest.MonkeyPatch, release: threading.Event) -> None:
    answering(monkeypatch, after(release))
    names = Network()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await names.resolve("slow.example")

    asyncio.run(give_up())
    release.set()
    for thread in threading.enumerate():
        if thread.name == "resolve":
            thread.join(PATIENCE_SECONDS)
    assert asyncio.run(names.resolve("slow.example")) == ("1.1.1.1",)


def _addresses_of_interfaces() -> Iterator[str]:
    """Ask Linux for the IPv4 address of every interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            with suppress(OSError):  # it has none
                found = fcntl.ioctl(probe, SIOCGIFADDR, struct.pack("256s", name.encode()))
                yield socket.inet_ntoa(found[20:24])


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_every_address_of_this_machine_is_its_own() -> None:
    addresses = list(_addresses_of_interfaces())
    assert "127.0.0.1" in addresses
    assert [address for address in addresses if not Network().is_own(address)] == []


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700:4700::1111", "255.255.255.255"])
def test_no_other_address_is(address: str) -> None:
    assert not Network().is_own(address)
