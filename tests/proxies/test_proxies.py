"""The files of docs/proxies are what ``make proxies`` runs, and fit what the server does."""

import re
from pathlib import Path

import pytest

from imageedit_server.access.watches import LIFE_SECONDS
from imageedit_server.settings import Settings
from imageedit_server.web.rules import RULES
from tests.proxies.programs import DOCS, PROGRAMS, Doors, Proxy

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
def test_a_proxy_waits_as_long_as_a_watch_lives(proxy: Proxy) -> None:
    hours = [
        int(number)
        for number in re.findall(r"(?:grpc_read_timeout|timeout server) +(\d+)h", proxy.file.read_text())
    ]
    assert hours
    assert min(hours) * 3600 >= LIFE_SECONDS


@pytest.mark.parametrize("proxy", PROGRAMS, ids=lambda proxy: proxy.name)
def test_of_http_only_callbacks_come_from_outside(proxy: Proxy) -> None:
    """/metrics and the probes are the operator's."""
    text = proxy.file.read_text()
    assert "/callbacks/" in text
    assert not [path for path in RULES if not path.startswith("/callbacks/") and path in text]


def test_every_file_is_tried() -> None:
    assert {proxy.file for proxy in PROGRAMS} == set(DOCS.iterdir())
