"""What only the whole wiring can find wrong: models that clash or are missing, places that cannot be used."""

import logging
import socket
from pathlib import Path

import pytest

from imageedit_server.bootstrap import running
from imageedit_server.providers.catalog import ModelClash
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.runtime.listening import CannotListen
from imageedit_server.settings import SettingsError, load_settings
from imageedit_server.store.database import StoreRefused
from tests.rpc.serving import NarrowAdapter

CANARY = "canary-90b1f7"
SERVER = '[server]\nlisten = "127.0.0.1:0"\nhttp_listen = "127.0.0.1:0"\ndata_dir = "DIR/data"\n'
SCRIPTED = '[providers.scripted]\nadapter = "scripted"\n'


async def start(tmp_path: Path, toml: str, **environment: str) -> None:
    """Start a server and stop it."""
    config = tmp_path / "config.toml"
    config.write_text(toml.replace("DIR", str(tmp_path)))
    async with running(load_settings(config, environment, {})) as server:
        await server.drain()


async def test_the_start_log_lists_the_models_and_the_keys_that_nothing_uses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever starts it sees what can be asked for, and why a vendor that was meant is not there."""
    caplog.set_level(logging.INFO, "imageedit_server")
    await start(tmp_path, SERVER + SCRIPTED, OPENAI_API_KEY=CANARY)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", "serving the models local/basic, scripted/fail, scripted/never, scripted/ok") in said
    assert CANARY not in str(said)
    unused = "OPENAI_API_KEY is set, and no provider uses it: add [providers.openai] with adapter"
    assert [level for level, words in said if words.startswith(unused)] == ["WARNING"]


@pytest.mark.parametrize(
    ("toml", "setting"),
    [
        (f'{SERVER}default_model = "nobody"\n', "server.default_model"),
        (f'{SERVER}default_model_edit_model = "nobody"\n', "server.default_model_edit_model"),
        (f"{SERVER}[providers.local]\nenabled = false\n{SCRIPTED}", "server.default_model"),
        (
            f"{SERVER}{SCRIPTED}enabled = false\n".replace("[prov", 'default_model = "scripted/ok"\n[prov'),
            "server.default_model",
        ),
    ],
    ids=["edit model", "model edit model", "local removed", "provider disabled"],
)
async def test_a_default_model_that_nobody_serves_stops_the_start(
    tmp_path: Path, toml: str, setting: str
) -> None:
    """One sentence that names the setting."""
    with pytest.raises(SettingsError, match=f"^{setting}: [^\n]+$"):
        await start(tmp_path, toml)


async def test_a_model_that_two_providers_serve_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model's name must say who is paid."""
    monkeypatch.setitem(ADAPTERS, "narrow", NarrowAdapter)
    clash = '[providers.one]\nadapter = "narrow"\n[providers.two]\nadapter = "narrow"\n'
    with pytest.raises(ModelClash, match=r"^model narrow/\S+ is served by providers one and two; [^\n]+$"):
        await start(tmp_path, SERVER + clash)


@pytest.mark.parametrize("name", ["listen", "http_listen"])
async def test_an_address_of_nobody_here_is_not_called_taken(tmp_path: Path, name: str) -> None:
    """The reason is the machine's, since there is nothing to stop."""
    toml = SERVER.replace(f'\n{name} = "127.0.0.1:0"', f'\n{name} = "192.0.2.1:0"')
    toml += '[auth]\nmode = "api_key"\n'
    (tmp_path / "keys.toml").write_text("")
    with pytest.raises(CannotListen, match=f"^server.{name}: cannot listen on 192.0.2.1:0: ") as caught:
        await start(tmp_path, toml)
    assert "stop it" not in str(caught.value)


async def test_a_data_dir_that_is_a_file_stops_the_start(tmp_path: Path) -> None:
    """One sentence that names it."""
    (tmp_path / "data").write_text("mine")
    with pytest.raises(StoreRefused, match=r"^[^\n]*data[^\n]*$"):
        await start(tmp_path, SERVER)
    assert (tmp_path / "data").read_text() == "mine"


@pytest.mark.parametrize("name", ["imageedit.sqlite3", "lock", "images"], ids=["database", "lock", "images"])
async def test_a_data_dir_with_something_else_in_our_places_stops_the_start(
    tmp_path: Path, name: str
) -> None:
    """A folder where a file must be, or the other way round."""
    place = tmp_path / "data" / name
    place.parent.mkdir()
    place.write_text("mine") if name == "images" else place.mkdir()
    with pytest.raises((StoreRefused, OSError)) as caught:  # of both, the command makes one sentence
        await start(tmp_path, SERVER)
    assert str(tmp_path / "data") in str(caught.value)


async def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """F23: refused by name, and not a byte of it changed."""
    place = tmp_path / "data" / "imageedit.sqlite3"
    place.parent.mkdir()
    place.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreRefused, match=r"^[^\n]*imageedit.sqlite3[^\n]+$"):
        await start(tmp_path, SERVER)
    assert place.read_bytes() == b"not a database at all" * 100


@pytest.mark.parametrize(("name", "option"), [("listen", "--listen"), ("http_listen", "--http-listen")])
async def test_a_port_that_is_taken_stops_the_start(tmp_path: Path, name: str, option: str) -> None:
    """One sentence with the setting, the address, why, and what to do; what was open is closed again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        toml = SERVER.replace(f'\n{name} = "127.0.0.1:0"', f'\n{name} = "{address}"')
        sentence = f"^server.{name}: cannot listen on {address}: [^\n]*; stop it, or [^\n]* {option}$"
        with pytest.raises(CannotListen, match=sentence):
            await start(tmp_path, toml)
    await start(tmp_path, SERVER)  # the lock was let go


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_every_loopback_address_can_be_listened_on(tmp_path: Path, host: str) -> None:
    """For both doors, IPv6 included where the machine has it."""
    if host == "[::1]" and not _has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    toml = SERVER.replace("127.0.0.1", host)
    config = tmp_path / "config.toml"
    config.write_text(toml.replace("DIR", str(tmp_path)))
    async with running(load_settings(config, {}, {})) as server:
        for address in (server.grpc_address, server.http_address):
            name, _, port = address.rpartition(":")
            socket.create_connection((name.strip("[]"), int(port)), timeout=60).close()


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
