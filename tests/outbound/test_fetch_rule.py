"""P17, proved at ``connect()``: no socket is ever connected to a denied address.

An audit hook sees every ``socket.connect`` and ``socket.getaddrinfo`` of the process. Public addresses are
servers on loopback, put there below the rule, so the only connections seen are those to a test's servers.
"""

import socket
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.outbound import fetch as fetch_module
from imageedit_server.outbound.addresses import refuse_url
from imageedit_server.outbound.fetch import FetchFailed, GuardedFetch, UrlRefused
from imageedit_server.outbound.network import Network
from tests.outbound.corpus import DENIED_ADDRESSES, MORE_URLS, URLS
from tests.outbound.servers import Server, reply, serve
from tests.outbound.test_fetch import got
from tests.outbound.worlds import OTHER_PUBLIC, PUBLIC, World, connects, trust, watched_sockets

RESOLVED = [address for address in DENIED_ADDRESSES if ":" in address or address.count(".") == 3]


def guarded(
    server: Server, *answers: tuple[str, ...], **more: Sequence[tuple[str, ...]]
) -> tuple[GuardedFetch, World]:
    names = {
        "good.example": answers or [(PUBLIC,)],
        **{name.replace("_", "."): each for name, each in more.items()},
    }
    world = World(names, {PUBLIC: server.port, OTHER_PUBLIC: server.port})
    return GuardedFetch(trust=trust(world)), world


def only(server: Server, seen: list[tuple[str, Any]]) -> bool:
    return set(connects(seen)) <= {("127.0.0.1", server.port)}


async def test_the_spy_sees_a_fetch_that_is_allowed() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        fetch, _ = guarded(server)
        with watched_sockets() as seen:
            assert await got(fetch) == b"x"
    assert connects(seen) == [("127.0.0.1", server.port)]


# The corpus in each form


@pytest.mark.parametrize("url", [*URLS, *MORE_URLS], ids=ascii)
async def test_a_url_of_the_corpus_is_refused_without_a_look_up(url: str) -> None:
    fetch = GuardedFetch(trust=trust(Network()))
    with watched_sockets() as seen, pytest.raises(UrlRefused):
        await got(fetch, url)
    assert seen == []


@pytest.mark.parametrize("address", RESOLVED, ids=ascii)
@pytest.mark.parametrize(
    "beside", [(), (PUBLIC,), (OTHER_PUBLIC,)], ids=["alone", "beside IPv4", "beside IPv6"]
)
async def test_a_name_that_leads_to_a_denied_address_is_refused(
    address: str, beside: tuple[str, ...]
) -> None:
    """Alone, before and after a public answer: one bad answer refuses all."""
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        fetch, world = guarded(server, (address, *beside), (*beside, address))
        with watched_sockets() as seen:
            for _ in range(2):
                with pytest.raises(UrlRefused, match="not public"):
                    await got(fetch)
    assert seen == []
    assert world.connected == []


@pytest.mark.parametrize("location", [url for url in (*URLS, *MORE_URLS[1:]) if url.isprintable()], ids=ascii)
async def test_a_redirect_into_the_corpus_is_refused(location: str) -> None:
    async with serve(
        reply(302, b"", Location=location), reply(200, b"secret"), certificate="good.example"
    ) as server:
        fetch, _ = guarded(server)
        with watched_sockets() as seen:
            try:
                await got(fetch)
                joined = True
            except UrlRefused:
                joined = False
    assert only(server, seen)
    assert joined == (location in STAYS_ON_THE_HOST)


STAYS_ON_THE_HOST = (" https://good.example/",)
"""Without a scheme: a path of the same host."""


@pytest.mark.parametrize("address", RESOLVED, ids=ascii)
async def test_a_redirect_to_a_name_of_a_denied_address_is_refused(address: str) -> None:
    async with serve(
        reply(307, b"", Location="https://evil.example/"), reply(200, b"secret"), certificate="good.example"
    ) as server:
        fetch, world = guarded(server, evil_example=[(address,)])
        with watched_sockets() as seen, pytest.raises(UrlRefused, match="redirects"):
            await got(fetch)
    assert connects(seen) == [("127.0.0.1", server.port)]
    assert world.connected == [(PUBLIC, 443)]


# An http URL that is tried as https meets the same rule


def upgrading(world: World) -> GuardedFetch:
    return GuardedFetch(http_as_https=True, trust=trust(world))


@pytest.mark.parametrize("url", [*URLS, *MORE_URLS], ids=ascii)
async def test_no_url_of_the_corpus_gets_through_as_https(url: str) -> None:
    """What is refused as https stays refused; what only was http is looked up like any other name."""
    written = url.replace("https://", "http://", 1)
    for text in (url, written):
        world = World({})
        with watched_sockets() as seen, pytest.raises((UrlRefused, FetchFailed)):
            await got(upgrading(world), text)
        assert connects(seen) == []
        assert world.connected == []


@pytest.mark.parametrize("address", RESOLVED, ids=ascii)
async def test_an_http_name_of_a_denied_address_is_refused(address: str) -> None:
    """Asked for itself, and as the place that a redirect names."""
    away = reply(302, b"", Location="http://evil.example/")
    async with serve(away, reply(200, b"secret"), certificate="good.example") as server:
        names = {"good.example": [(PUBLIC,)], "evil.example": [(address,)]}
        world = World(names, {PUBLIC: server.port})
        with watched_sockets() as seen:
            for url in ("http://evil.example/", "http://good.example/"):
                with pytest.raises(UrlRefused, match="tried as https instead of http, leads to an address"):
                    await got(upgrading(world), url)
    assert only(server, seen)
    assert world.connected == [(PUBLIC, 443)]


# Dynamic cases


async def test_rebinding_between_two_look_ups_finds_only_one() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        fetch, world = guarded(server, (PUBLIC,), ("127.0.0.1",))
        with watched_sockets() as seen:
            assert await got(fetch) == b"x"
    assert world.asked == ["good.example"]
    assert world.connected == [(PUBLIC, 443)]
    assert [event for event, _ in seen if event == "socket.getaddrinfo"] == []


async def test_a_name_that_flips_on_a_redirect_is_judged_again() -> None:
    async with serve(reply(302, b"", Location="/again"), certificate="good.example") as server:
        fetch, world = guarded(server, (PUBLIC,), ("169.254.169.254",))
        with watched_sockets() as seen, pytest.raises(UrlRefused, match="redirects"):
            await got(fetch)
    assert only(server, seen)
    assert world.asked == ["good.example"] * 2
    assert world.connected == [(PUBLIC, 443)]


async def test_a_chain_of_names_is_judged_by_where_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CNAME chain is one answer to us: the resolver's last address."""
    end = [(socket.AF_INET, socket.SOCK_STREAM, 6, "inner.corp", ("10.1.2.3", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: end)
    with watched_sockets() as seen, pytest.raises(UrlRefused):
        await got(GuardedFetch(trust=trust(Network())))
    assert connects(seen) == []


@pytest.mark.parametrize(
    "form", ["https://127.0.0.1:{port}/", "https://localhost:{port}/", "http://127.0.0.1:{port}/"]
)
async def test_our_own_listen_address_is_refused(form: str) -> None:
    async with serve(reply(200, b"x")) as server:
        with watched_sockets() as seen, pytest.raises(UrlRefused):
            await got(GuardedFetch(trust=trust(Network())), form.format(port=server.port))
    assert seen == []
    assert server.connections == 0


async def test_an_address_of_this_machine_is_refused_though_it_is_public() -> None:
    """A server that listens on a public address is no more reached from within than one on loopback."""
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        fetch, world = guarded(server, (PUBLIC,), (PUBLIC,), (OTHER_PUBLIC, PUBLIC))
        assert await got(fetch) == b"x"
        world.own = {PUBLIC}
        for _ in range(2):
            with pytest.raises(UrlRefused, match="not public"):
                await got(fetch)
    assert world.connected == [(PUBLIC, 443)]


async def test_a_redirect_to_an_address_of_this_machine_is_refused() -> None:
    async with serve(
        reply(302, b"", Location="https://our.example/"), reply(200, b"x"), certificate="good.example"
    ) as server:
        fetch, world = guarded(server, our_example=[(OTHER_PUBLIC,)])
        world.own = {OTHER_PUBLIC}
        with pytest.raises(UrlRefused, match="redirects"):
            await got(fetch)
    assert world.connected == [(PUBLIC, 443)]


async def test_our_own_listener_is_reached_where_the_operator_allows_it() -> None:
    async with serve(reply(200, b"x")) as server:
        assert Network().is_own("127.0.0.1")
        fetch = GuardedFetch([f"127.0.0.1:{server.port}"], trust=trust(Network()))
        assert await got(fetch, server.url) == b"x"


SCHEMES = ["http://good.example/", "file:///etc/passwd", "gopher://good.example:6379/", "data:image/png,x"]


@pytest.mark.parametrize("hops", [0, 1, 2])
@pytest.mark.parametrize("last", [*SCHEMES, "https://169.254.169.254/latest/meta-data/"])
async def test_a_chain_of_redirects_is_judged_at_every_hop(hops: int, last: str) -> None:
    chain = [reply(302, b"", Location=f"/{hop}") for hop in range(hops)]
    async with serve(*chain, reply(302, b"", Location=last), certificate="good.example") as server:
        fetch, world = guarded(server)
        with watched_sockets() as seen, pytest.raises(UrlRefused, match="redirects"):
            await got(fetch)
    assert only(server, seen)
    assert world.connected == [(PUBLIC, 443)] * (hops + 1)


async def test_a_name_that_flips_late_in_a_loop_is_judged_there_too() -> None:
    there = reply(302, b"", Location="https://good.example/")
    async with serve(there, certificate="good.example") as server:
        world = World(
            {"good.example": [(PUBLIC,), (OTHER_PUBLIC,), (PUBLIC,), ("10.0.0.1",)]},
            {PUBLIC: server.port, OTHER_PUBLIC: server.port},
        )
        with pytest.raises(UrlRefused):
            await got(GuardedFetch(trust=trust(world)))
    assert [address for address, _ in world.connected] == [PUBLIC, OTHER_PUBLIC, PUBLIC]


async def test_no_connection_is_used_again_for_another_host() -> None:
    """Both names lead to one address, whose certificate is only good.example's."""
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        fetch, _ = guarded(server, other_example=[(PUBLIC,)])
        with watched_sockets() as seen:
            assert await got(fetch) == b"x"
            assert await got(fetch) == b"x"
            with pytest.raises(FetchFailed, match="certificate is refused"):
                await got(fetch, "https://other.example/")
    assert len(connects(seen)) == 3
    assert len(server.calls) == 2


async def test_a_redirect_to_another_host_proves_that_host() -> None:
    async with serve(
        reply(302, b"", Location="https://other.example/"), certificate="good.example"
    ) as server:
        fetch, _ = guarded(server, other_example=[(PUBLIC,)])
        with pytest.raises(FetchFailed, match=r"not valid for 'other\.example'"):
            await got(fetch)


async def test_what_the_operator_allows_is_not_a_way_to_elsewhere() -> None:
    async with serve(reply(302, b"", Location="http://127.0.0.1:1/"), reply(200, b"x")) as server:
        fetch = GuardedFetch([f"127.0.0.1:{server.port}"], trust=trust(Network()))
        with watched_sockets() as seen, pytest.raises(UrlRefused, match="redirects"):
            await got(fetch, server.url)
    assert connects(seen) == [("127.0.0.1", server.port)]


async def test_what_the_operator_allows_exempts_nothing_else() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        world = World({"good.example": [("127.0.0.1",)]}, {"127.0.0.1": server.port})
        fetch = GuardedFetch(["127.0.0.1:9001", "good.example:8443"], trust=trust(world))
        with pytest.raises(UrlRefused, match="not public"):
            await got(fetch)
    assert world.connected == []


async def test_a_public_host_may_redirect_to_a_place_that_is_allowed() -> None:
    """``fetch.allow`` is what the operator trusts to be fetched, by whatever way."""
    async with serve(reply(200, b"x")) as inner:
        hop = reply(302, b"", Location=f"{inner.url}/a")
        async with serve(hop, certificate="good.example") as server:
            world = World({"good.example": [(PUBLIC,)]}, {PUBLIC: server.port})
            fetch = GuardedFetch([f"127.0.0.1:{inner.port}"], trust=trust(world))
            assert await got(fetch) == b"x"


async def test_the_second_address_is_used_when_the_first_is_down() -> None:
    async with serve(reply(200, b"x"), certificate="good.example") as server:
        world = World({"good.example": [(OTHER_PUBLIC, PUBLIC)]}, {PUBLIC: server.port, OTHER_PUBLIC: 1})
        assert await got(GuardedFetch(trust=trust(world))) == b"x"
    assert world.connected == [(OTHER_PUBLIC, 443), (PUBLIC, 443)]
    assert world.asked == ["good.example"]


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40))
async def test_no_location_makes_anything_but_the_rule_speak(location: str) -> None:
    """Straight to the hop's end, since a server cannot be started for every example."""
    response = httpx.Response(302, headers=[(b"Location", location.encode("latin-1"))])
    place = fetch_module.location_of("https://good.example/a", response)
    assert place is not None
    refuse_url(place)
