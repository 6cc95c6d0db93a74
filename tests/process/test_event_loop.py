"""Which event loop a server has: uvloop's, asyncio's where that is missing, or the one that is named."""

import asyncio
import logging
import sys

import pytest
import uvloop

from imageedit_server.process import LOOP_VARIABLE, loop_factory
from imageedit_server.settings import SettingsError
from tests.servers.places import Place
from tests.servers.processes import Servers


@pytest.mark.parametrize(
    ("name", "factory"),
    [("", uvloop.new_event_loop), ("uvloop", uvloop.new_event_loop), ("asyncio", asyncio.new_event_loop)],
)
def test_uvloop_unless_another_is_named(monkeypatch: pytest.MonkeyPatch, name: str, factory: object) -> None:
    monkeypatch.setenv(LOOP_VARIABLE, name)
    assert loop_factory() is factory


def test_asyncio_where_uvloop_is_missing_which_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(LOOP_VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with caplog.at_level(logging.INFO):
        assert loop_factory() is asyncio.new_event_loop
    assert caplog.messages == ["uvloop is not installed: asyncio's own event loop serves"]
    monkeypatch.setenv(LOOP_VARIABLE, "uvloop")
    with pytest.raises(SettingsError, match="IMAGEEDIT_LOOP is 'uvloop', which is not installed"):
        loop_factory()


async def test_a_loop_that_nobody_knows_stops_the_start(servers: Servers, place: Place) -> None:
    server = await servers.run(*place.arguments(), environment={LOOP_VARIABLE: "trio"})
    assert await server.ended() == 2
    assert "IMAGEEDIT_LOOP is 'trio'; it takes uvloop or asyncio" in server.stderr()
