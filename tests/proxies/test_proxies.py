"""The files of docs/proxies are what ``make proxies`` runs, and fit what the server does."""

import re
from inspect import signature
from pathlib import Path

import pytest

from imageedit_server.access.watches import LIFE_SECONDS
from imageedit_server.editing import Watching
from imageedit_server.settings import Settings
from imageedit_server.web.rules import RULES
from tests.proxies.programs import DOCS, PROGRAMS, Doors, Proxy
from tests.servers.programs import ROOT

DOORS = Doors(plain="127.0.0.1:1111", tls="127.0.0.1:2222")


@pytest.mark.parametrize("proxy", PROGRAMS, ids=lambda proxy: proxy.name)
def test_a_documented_file_differs_from_what_is_tried_in_places_alone(proxy: Proxy, tmp_path: Path) -> None:
    """The server's own default addresses stand in it, and nothing of them where it is tried elsewhere."""
    server, text = Settings().server, proxy.file.read_text()
    assert {server.listen, server.http_listen} <= set(re.findall(r"127\.0\.0\.1:\d+", text))
    tried = proxy.configuration(tmp_path, DOORS, "127.0.0.1:3333", "127.0.0.1:4444")
    assert not re.findall(r"50051|8080|443\b|50050;|:50050 ", "\n".join(_said(tried)))
    assert len(_said(tried)) == len(_said(text))


def _said(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("#")]


@pytest.mark.parametrize("proxy", PROGRAMS, ids=lambda proxy: proxy.name)
def test_a_proxy_waits_as_long_as_a_call_may_be_silent(proxy: Proxy) -> None:
    """A task's watch shows every few seconds that it lives; a health watch lives as long and says nothing."""
    hours = [
        int(number)
        for number in re.findall(r"(?:grpc_read_timeout|timeout server) +(\d+)h", proxy.file.read_text())
    ]
    assert hours
    assert min(hours) * 3600 >= LIFE_SECONDS
    assert 2 * signature(Watching).parameters["heartbeat_seconds"].default < LIFE_SECONDS


@pytest.mark.parametrize("proxy", PROGRAMS, ids=lambda proxy: proxy.name)
def test_of_http_only_callbacks_come_from_outside(proxy: Proxy) -> None:
    """/metrics and the probes are the operator's."""
    text = proxy.file.read_text()
    assert "/callbacks/" in text
    assert not [path for path in RULES if not path.startswith("/callbacks/") and path in text]


def test_every_file_is_tried() -> None:
    assert {proxy.file for proxy in PROGRAMS} == set(DOCS.iterdir())


def test_no_page_tells_it_another_way() -> None:
    """The files are the one place for what a proxy is told; a page that shows some of it ages."""
    told = set(
        re.findall(r"\w+_timeout|client_max_body_size|grpc_pass|proto h2", "".join(map(_read, PROGRAMS)))
    )
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert {"grpc_pass", "grpc_read_timeout", "proto h2"} <= told
    assert not [word for word in told if re.search(rf"^ *{word} [^|]*[;0-9]", pages, re.MULTILINE)]
    assert all(f"](proxies/{proxy.file.name})" in pages for proxy in PROGRAMS)


def _read(proxy: Proxy) -> str:
    return proxy.file.read_text()
