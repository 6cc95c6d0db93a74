"""Where settings come from, which one wins, and that what is wrong is named in one sentence (DESIGN §6)."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from imageedit_server.core.task import State
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.providers.scripted import ScriptedAdapter, ScriptedOptions
from imageedit_server.settings import (
    Settings,
    SettingsError,
    load_settings,
    settings_from_environment,
)
from imageedit_server.settings.loading import load_keys_file

CANARY = "canary-3f9a1c"
SCRIPTED = '[providers.scripted]\nadapter = "scripted"\n'


def load(
    tmp_path: Path, toml: str = "", environment: dict[str, str] | None = None, **overrides: Any
) -> Settings:
    """Load settings from a file with this text; ``DIR`` in it is the folder of the file."""
    config = tmp_path / "config.toml"
    config.write_text(toml.replace("DIR", str(tmp_path)), encoding="utf-8")
    return load_settings(config, environment or {}, overrides)


# What is good


def test_the_defaults_are_those_of_the_design() -> None:
    """Without a file: loopback, the embedded provider, the documented numbers."""
    settings = load_settings(None, {}, {})
    server = settings.server
    assert (server.listen, server.http_listen) == ("127.0.0.1:50051", "127.0.0.1:8080")
    assert server.data_dir == Path("data")
    assert (server.default_model, server.default_model_edit_model) == ("local/basic", "local/basic")
    assert server.public_url == ""
    assert server.drain_seconds == 20
    assert (settings.images.max_bytes, settings.images.max_pixels) == (20_971_520, 50_000_000)
    assert settings.engine.concurrency == 64
    assert settings.engine.lease_seconds == 30
    assert settings.engine.result_grace_seconds == 60
    assert settings.engine.unknown_window_seconds == 1800
    kept = dict.fromkeys((State.SUCCEEDED, State.FAILED, State.CANCELLED), timedelta(days=30))
    assert settings.retention.keep() == kept
    limits = settings.limits
    assert (limits.watches, limits.queued_tasks, limits.stored_bytes) == (2000, 0, 0)
    assert limits.requests_per_second == 0
    assert (limits.inflight_bytes, limits.inflight_bytes_total) == (67_108_864, 268_435_456)
    assert (settings.auth.mode, settings.auth.keys_file) == ("none", Path("keys.toml"))
    assert {file for _, file in settings.tls} == {""}
    assert list(settings.providers) == ["local"]


def test_what_is_kept_for_ever_has_no_time(tmp_path: Path) -> None:
    kept = load(tmp_path, "[retention]\nsucceeded_days = 0\nfailed_days = 7\n").retention.keep()
    assert kept == {State.FAILED: timedelta(days=7), State.CANCELLED: timedelta(days=30)}


@pytest.mark.parametrize("days", [-1, 1, 6, 36_501])
def test_a_request_id_stands_for_its_task_for_a_week(tmp_path: Path, days: int) -> None:
    """P3: fewer days are refused, by the name of the setting."""
    with pytest.raises(SettingsError, match=r"^retention\.failed_days: "):
        load(tmp_path, f"[retention]\nfailed_days = {days}\n")


def test_the_file_the_environment_and_the_command_line_win_in_this_order(tmp_path: Path) -> None:
    """The later one wins; what it leaves out stays."""
    toml = '[server]\nlisten = "127.0.0.1:1"\nhttp_listen = "127.0.0.1:2"\ndrain_seconds = 3\n'
    environment = {
        "IMAGEEDIT_SERVER__LISTEN": "127.0.0.1:10",
        "IMAGEEDIT_SERVER__HTTP_LISTEN": "127.0.0.1:20",
    }
    server = load(tmp_path, toml, environment, http_listen="127.0.0.1:200").server
    assert (server.listen, server.http_listen, server.drain_seconds) == ("127.0.0.1:10", "127.0.0.1:200", 3)


@pytest.mark.parametrize(
    ("variable", "value", "where", "expected"),
    [
        ("IMAGEEDIT_ENGINE__CONCURRENCY", "7", "engine.concurrency", 7),
        ("IMAGEEDIT_SERVER__DRAIN_SECONDS", "1.5", "server.drain_seconds", 1.5),
        ("IMAGEEDIT_SERVER__DATA_DIR", "/x/y", "server.data_dir", Path("/x/y")),
        ("IMAGEEDIT_LIMITS__WATCHES", "0", "limits.watches", 0),
        ("IMAGEEDIT_PROVIDERS__SCRIPTED__STEPS", "9", "scripted.steps", 9),
        ("IMAGEEDIT_PROVIDERS__SCRIPTED__POLL_SECONDS", "[1, 2.5, 3]", "scripted.poll_seconds", (1, 2.5, 3)),
        ("IMAGEEDIT_PROVIDERS__SCRIPTED__ENABLED", "true", "scripted.enabled", True),
        ("IMAGEEDIT_PROVIDERS__SCRIPTED", '{adapter = "scripted", steps = 4}', "scripted.steps", 4),
    ],
)
def test_a_variable_is_a_setting(
    tmp_path: Path, variable: str, value: str, where: str, expected: object
) -> None:
    """Numbers, lists and tables are read as TOML writes them."""
    settings = load(tmp_path, SCRIPTED, {variable: value})
    section, name = where.split(".")
    holder = settings.providers[section] if section in settings.providers else getattr(settings, section)
    assert getattr(holder, name) == expected


def test_variables_without_two_underscores_are_not_settings(tmp_path: Path) -> None:
    """They are the CLI's, or somebody else's."""
    environment = {
        "IMAGEEDIT_ADDRESS": "x",
        "IMAGEEDIT_API_KEY": "y",
        "IMAGEEDIT_FAILPOINT": "z",
        "OTHER__X": "1",
    }
    assert load(tmp_path, "", environment) == load(tmp_path)


def test_the_process_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the function that the command uses."""
    monkeypatch.setenv("IMAGEEDIT_SERVER__LISTEN", "127.0.0.1:4321")
    assert settings_from_environment(None, {}).server.listen == "127.0.0.1:4321"


def test_the_environment_of_the_caller_is_left_as_it_is(tmp_path: Path) -> None:
    """Loading twice from the same mappings gives the same."""
    environment = {"IMAGEEDIT_SERVER__LISTEN": "127.0.0.1:1"}
    assert load(tmp_path, SCRIPTED, environment) == load(tmp_path, SCRIPTED, environment)
    assert environment == {"IMAGEEDIT_SERVER__LISTEN": "127.0.0.1:1"}


@pytest.mark.parametrize(
    "listen", ["127.0.0.1:0", "127.9.9.9:65535", "localhost:50051", "[::1]:50051", "127.0.0.1:00080"]
)
def test_loopback_addresses_may_be_listened_on(tmp_path: Path, listen: str) -> None:
    """Nobody but this machine can reach them."""
    assert load(tmp_path, f'[server]\nlisten = "{listen}"\n').server.listen == listen


PUBLIC = '[server]\nlisten = "0.0.0.0:50051"\n'
CERT = '[tls]\ncert_file = "c"\nkey_file = "k"\n'


@pytest.mark.parametrize(
    "how", ['[auth]\nmode = "api_key"\n', f'{CERT}client_ca_file = "ca"\n'], ids=["keys", "certificates"]
)
def test_a_public_address_needs_callers_that_say_who_they_are(tmp_path: Path, how: str) -> None:
    """DESIGN §6: keys, or certificates of clients; those of the server alone say nothing about callers."""
    assert load(tmp_path, PUBLIC + how).server.listen == "0.0.0.0:50051"
    with pytest.raises(SettingsError, match=r"^server\.listen: "):
        load(tmp_path, PUBLIC + CERT)


def test_files_of_credentials_are_beside_the_config_file(tmp_path: Path) -> None:
    """Wherever the server is started; an absolute path is taken as it is."""
    toml = '[auth]\nkeys_file = "sub/k.toml"\n[tls]\ncert_file = "c.pem"\nkey_file = "/etc/k.pem"\n'
    settings = load(tmp_path, toml)
    assert settings.auth.keys_file == tmp_path / "sub/k.toml"
    assert dict(settings.tls) == {
        "cert_file": str(tmp_path / "c.pem"),
        "key_file": "/etc/k.pem",
        "client_ca_file": "",
    }
    assert load_settings(None, {"IMAGEEDIT_AUTH__KEYS_FILE": "k.toml"}, {}).auth.keys_file == Path("k.toml")


def test_the_keys_file_is_found_without_the_rest(tmp_path: Path) -> None:
    """A key can be made where the vendors' secrets are not at hand; what is wrong in [auth] is still said."""
    config = tmp_path / "config.toml"
    config.write_text(f'{SCRIPTED}api_key_env = "NOT_SET"\n[auth]\nkeys_file = "k.toml"\n')
    assert load_keys_file(config, {}) == tmp_path / "k.toml"
    assert load_keys_file(None, {}) == Path("keys.toml")
    assert load_keys_file(config, {"IMAGEEDIT_AUTH__KEYS_FILE": "/x/k.toml"}) == Path("/x/k.toml")
    config.write_text("[auth]\nkeys_fil = 1\n")
    with pytest.raises(SettingsError, match=r"^unknown setting auth\.keys_fil \(did you "):
        load_keys_file(config, {})


def test_the_http_door_may_be_public(tmp_path: Path) -> None:
    """Callbacks carry their token."""
    assert load(tmp_path, '[server]\nhttp_listen = "0.0.0.0:8080"\n').server.http_listen == "0.0.0.0:8080"


def test_the_local_provider_can_be_removed(tmp_path: Path) -> None:
    """``enabled = false``; others can be too."""
    toml = f"[providers.local]\nenabled = false\n{SCRIPTED}"
    assert list(load(tmp_path, toml).providers) == ["scripted"]
    assert list(load(tmp_path, f"{SCRIPTED}enabled = false\n").providers) == ["local"]


def test_one_adapter_can_serve_under_two_names(tmp_path: Path) -> None:
    """Two accounts of a vendor."""
    toml = '[providers.one]\nadapter = "scripted"\n[providers.two_2]\nadapter = "scripted"\nsteps = 5\n'
    assert set(load(tmp_path, toml).providers) == {"local", "one", "two_2"}


# Secrets


@pytest.mark.parametrize(
    ("toml", "environment"),
    [
        (f'api_key = "{CANARY}"', {}),
        ('api_key_env = "VENDOR_KEY"', {"VENDOR_KEY": CANARY}),
        ('api_key_file = "DIR/key"', {}),
        ("", {"IMAGEEDIT_PROVIDERS__SCRIPTED__API_KEY": CANARY}),
        ('api_key_env = "A"', {"IMAGEEDIT_PROVIDERS__SCRIPTED__API_KEY_ENV": "B", "A": "wrong", "B": CANARY}),
        ('api_key_env = "NOT_SET"', {"IMAGEEDIT_PROVIDERS__SCRIPTED__API_KEY": CANARY}),
        (f'api_key = "{CANARY}"\napi_key_env = ""\napi_key_file = ""', {}),
    ],
    ids=[
        "inline",
        "env",
        "file",
        "variable",
        "variable names variable",
        "variable over a file's _env",
        "empty is unset",
    ],
)
def test_a_secret_is_found_and_never_shown(tmp_path: Path, toml: str, environment: dict[str, str]) -> None:
    """NAME, NAME_env or NAME_file; masked wherever settings are printed (P26)."""
    (tmp_path / "key").write_text(f" {CANARY}\n")
    settings = load(tmp_path, SCRIPTED + toml + "\n", environment)
    key = settings.providers["scripted"].api_key
    assert isinstance(key, SecretStr)
    assert key.get_secret_value() == CANARY
    for shown in (repr(settings), str(settings), f"{settings.providers}", settings.model_dump_json()):
        assert CANARY not in shown


# What is bad: the file, the environment, the setting that the sentence must name

BAD: list[tuple[str, str, dict[str, str], str]] = [
    ("unknown key", "[server]\nlissten = 1\n", {}, "server.lissten"),
    ("unknown section", "[sever]\nlisten = 1\n", {}, "sever"),
    ("unknown top key", "listen = 1\n", {}, "listen"),
    ("unknown key of a provider", f"{SCRIPTED}step = 1\n", {}, "providers.scripted.step"),
    ("unknown key in a variable", "", {"IMAGEEDIT_SERVER__NOPE": "1"}, "server.nope"),
    ("no key in a variable", "", {"IMAGEEDIT_SERVER__": "1"}, "server"),
    ("only underscores", "", {"IMAGEEDIT___": "1"}, "setting"),
    ("section that is a number", "server = 1\n", {}, "server"),
    ("section that is a list", "[[server]]\nlisten = 1\n", {}, "server"),
    ("section that is a text", 'engine = "fast"\n', {}, "engine"),
    (
        "variable inside a number",
        "server = 1\n",
        {"IMAGEEDIT_SERVER__LISTEN": "x"},
        "IMAGEEDIT_SERVER__LISTEN",
    ),
    (
        "variable inside a value",
        '[server]\nlisten = "127.0.0.1:1"\n',
        {"IMAGEEDIT_SERVER__LISTEN__X": "x"},
        "IMAGEEDIT_SERVER__LISTEN__X",
    ),
    ("listen without port", '[server]\nlisten = "127.0.0.1"\n', {}, "server.listen"),
    ("listen without host", '[server]\nlisten = ":50051"\n', {}, "server.listen"),
    ("port beyond", '[server]\nlisten = "127.0.0.1:65536"\n', {}, "server.listen"),
    ("port in words", '[server]\nhttp_listen = "127.0.0.1:http"\n', {}, "server.http_listen"),
    ("negative port", '[server]\nlisten = "127.0.0.1:-1"\n', {}, "server.listen"),
    ("wide digits", '[server]\nlisten = "127.0.0.1:８０"\n', {}, "server.listen"),
    ("listen as number", "[server]\nlisten = 50051\n", {}, "server.listen"),
    ("public without asking who calls", '[server]\nlisten = "0.0.0.0:50051"\n', {}, "server.listen"),
    ("public over IPv6", '[server]\nlisten = "[::]:50051"\n', {}, "server.listen"),
    ("public by name", '[server]\nlisten = "example.com:50051"\n', {}, "server.listen"),
    ("mapped public", '[server]\nlisten = "[::ffff:0.0.0.0]:50051"\n', {}, "server.listen"),
    ("listen with a line break", '[server]\nlisten = "127.0.0.1:1\\n"\n', {}, "server.listen"),
    ("data_dir as number", "[server]\ndata_dir = 5\n", {}, "server.data_dir"),
    ("negative drain", "[server]\ndrain_seconds = -1\n", {}, "server.drain_seconds"),
    ("drain that never ends", "[server]\ndrain_seconds = inf\n", {}, "server.drain_seconds"),
    ("drain that is no number", "[server]\ndrain_seconds = nan\n", {}, "server.drain_seconds"),
    ("no concurrency", "[engine]\nconcurrency = 0\n", {}, "engine.concurrency"),
    ("concurrency of a half", "[engine]\nconcurrency = 0.5\n", {}, "engine.concurrency"),
    ("concurrency in words", "", {"IMAGEEDIT_ENGINE__CONCURRENCY": "many"}, "engine.concurrency"),
    ("short lease", "[engine]\nlease_seconds = 1\n", {}, "engine.lease_seconds"),
    ("endless lease", "[engine]\nlease_seconds = inf\n", {}, "engine.lease_seconds"),
    ("lease of a million years", "[engine]\nlease_seconds = 3e13\n", {}, "engine.lease_seconds"),
    ("endless window", "[engine]\nunknown_window_seconds = inf\n", {}, "engine.unknown_window_seconds"),
    (
        "window of a million years",
        "[engine]\nunknown_window_seconds = 3e13\n",
        {},
        "engine.unknown_window_seconds",
    ),
    ("no bytes", "[images]\nmax_bytes = 0\n", {}, "images.max_bytes"),
    ("negative pixels", "[images]\nmax_pixels = -1\n", {}, "images.max_pixels"),
    ("negative watches", "[limits]\nwatches = -1\n", {}, "limits.watches"),
    (
        "public_url without TLS",
        '[server]\npublic_url = "http://edits.example.com"\n',
        {},
        "server.public_url",
    ),
    ("public_url without scheme", '[server]\npublic_url = "edits.example.com"\n', {}, "server.public_url"),
    ("public_url of a file", '[server]\npublic_url = "file:///etc/passwd"\n', {}, "server.public_url"),
    ("public_url with a user", '[server]\npublic_url = "https://u:p@example.com"\n', {}, "server.public_url"),
    (
        "public_url with a query",
        '[server]\npublic_url = "https://example.com/?x=1"\n',
        {},
        "server.public_url",
    ),
    ("providers as number", "providers = 1\n", {}, "providers"),
    ("local as number", "[providers]\nlocal = 5\n", {}, "providers.local"),
    ("provider as number", "[providers]\nscripted = 5\n", {}, "providers.scripted"),
    ("provider without adapter", "[providers.x]\nsteps = 1\n", {}, "providers.x.adapter"),
    (
        "provider only in a variable",
        "",
        {"IMAGEEDIT_PROVIDERS__KIE2__API_KEY": CANARY},
        "providers.kie2.adapter",
    ),
    ("unknown adapter", '[providers.x]\nadapter = "nobody"\n', {}, "providers.x.adapter"),
    ("adapter as list", '[providers.x]\nadapter = ["scripted"]\n', {}, "providers.x.adapter"),
    ("adapter as table", "[providers.x.adapter]\na = 1\n", {}, "providers.x.adapter"),
    ("name in capitals", '[providers.Scripted]\nadapter = "scripted"\n', {}, "providers.Scripted"),
    ("name with a hyphen", '[providers.my-vendor]\nadapter = "scripted"\n', {}, "providers.my-vendor"),
    ("name that begins with a digit", '[providers.2x]\nadapter = "scripted"\n', {}, "providers.2x"),
    ("name with a line break", '[providers."x\\n"]\nadapter = "scripted"\n', {}, "providers.x"),
    ("empty name", '[providers.""]\nadapter = "scripted"\n', {}, "providers."),
    ("enabled perhaps", f'{SCRIPTED}enabled = "perhaps"\n', {}, "providers.scripted.enabled"),
    ("two poll times", f"{SCRIPTED}poll_seconds = [1, 2]\n", {}, "providers.scripted.poll_seconds"),
    ("no time between polls", f"{SCRIPTED}poll_seconds = [0, 0, 0]\n", {}, "providers.scripted.poll_seconds"),
    ("negative poll time", f"{SCRIPTED}poll_seconds = [1, -2, 3]\n", {}, "providers.scripted.poll_seconds"),
    ("poll time nan", f"{SCRIPTED}poll_seconds = [1, nan, 3]\n", {}, "providers.scripted.poll_seconds"),
    (
        "half a list in a variable",
        SCRIPTED,
        {"IMAGEEDIT_PROVIDERS__SCRIPTED__POLL_SECONDS": "[1, 2"},
        "providers.scripted.poll_seconds",
    ),
    ("no time to submit", f"{SCRIPTED}submit_seconds = 0\n", {}, "providers.scripted.submit_seconds"),
    ("pace without time", f'{SCRIPTED}max_submits = "18"\n', {}, "providers.scripted.max_submits"),
    ("pace of nothing", f'{SCRIPTED}max_submits = "0/10s"\n', {}, "providers.scripted.max_submits"),
    ("pace in words", f'{SCRIPTED}max_submits = "fast"\n', {}, "providers.scripted.max_submits"),
    ("no places", f"{SCRIPTED}concurrency = 0\n", {}, "providers.scripted.concurrency"),
    ("101 steps", f"{SCRIPTED}steps = 101\n", {}, "providers.scripted.steps"),
    ("negative seconds", f"{SCRIPTED}seconds = -0.1\n", {}, "providers.scripted.seconds"),
    ("secret as number", f"{SCRIPTED}api_key = 5\n", {}, "providers.scripted.api_key"),
    ("variable that is not set", f'{SCRIPTED}api_key_env = "NOT_SET"\n', {}, "NOT_SET"),
    ("variable that is empty", f'{SCRIPTED}api_key_env = "EMPTY"\n', {"EMPTY": ""}, "EMPTY"),
    ("variable name as number", f"{SCRIPTED}api_key_env = 5\n", {}, "providers.scripted.api_key_env"),
    (
        "secret file that is missing",
        f'{SCRIPTED}api_key_file = "DIR/none"\n',
        {},
        "providers.scripted.api_key_file",
    ),
    (
        "secret file that is a folder",
        f'{SCRIPTED}api_key_file = "DIR"\n',
        {},
        "providers.scripted.api_key_file",
    ),
    (
        "secret file that is empty",
        f'{SCRIPTED}api_key_file = "DIR/empty"\n',
        {},
        "providers.scripted.api_key_file",
    ),
    (
        "secret file in Latin-1",
        f'{SCRIPTED}api_key_file = "DIR/latin"\n',
        {},
        "providers.scripted.api_key_file",
    ),
    ("secret file as number", f"{SCRIPTED}api_key_file = 5\n", {}, "providers.scripted.api_key_file"),
    ("unknown way of asking", '[auth]\nmode = "password"\n', {}, "auth.mode"),
    ("certificate without key", '[tls]\ncert_file = "c"\n', {}, "tls: "),
    ("key without certificate", '[tls]\nkey_file = "k"\n', {}, "tls: "),
    ("clients without certificate", '[tls]\nclient_ca_file = "ca"\n', {}, "tls.client_ca_file"),
    ("negative limit", "[limits]\nqueued_tasks = -1\n", {}, "limits.queued_tasks"),
    ("negative bytes", "[limits]\nstored_bytes = -1\n", {}, "limits.stored_bytes"),
    ("less than a request", "[limits]\ninflight_bytes = 4194303\n", {}, "limits.inflight_bytes"),
    ("negative rate", "[limits]\nrequests_per_second = -0.1\n", {}, "limits.requests_per_second"),
    ("endless rate", "[limits]\nrequests_per_second = inf\n", {}, "limits.requests_per_second"),
    ("not TOML", "[server\n", {}, "config.toml"),
    ("the same key twice", "[server]\nlisten = 1\nlisten = 2\n", {}, "config.toml"),
    ("NUL", "a\0", {}, "config.toml"),
]


@pytest.mark.parametrize(
    ("toml", "environment", "name"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_what_is_wrong_is_one_sentence_that_names_it(
    tmp_path: Path, toml: str, environment: dict[str, str], name: str
) -> None:
    """SettingsError, nothing else; one line, no class name, no secret."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin").write_bytes(b"\xe9\xff")
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, toml, environment)
    assert_sentence(caught.value, name)


WORDS: list[tuple[str, str]] = [
    ("[server]\ndrain_seconds = -1\n", "server.drain_seconds: must be a number, 0 to 3600, not -1"),
    ("[server]\ndrain_seconds = nan\n", "server.drain_seconds: must be a number, 0 to 3600, not nan"),
    ("[engine]\nconcurrency = 0.5\n", "engine.concurrency: must be a whole number, 1 or more, not 0.5"),
    ('[engine]\nconcurrency = "many"\n', "engine.concurrency: must be a whole number, 1 or more"),
    ("[server]\ndata_dir = 5\n", "server.data_dir: must be a path, not 5"),
    ("[server]\nlisten = 5\n", "server.listen: must be HOST:PORT, such as 127.0.0.1:50051, not 5"),
    ('[server]\nlisten = ":5"\n', "server.listen: must be HOST:PORT, such as 127.0.0.1:50051"),
    ('[auth]\nmode = "password"\n', 'auth.mode: must be "none" or "api_key"'),
    ('[fetch]\nallow = "x:1"\n', "fetch.allow: must be a list of texts"),
    ("server = 1\n", "server: must be a table of settings, not 1"),
    (f'{SCRIPTED}enabled = "perhaps"\n', "providers.scripted.enabled: must be true or false"),
    (f"{SCRIPTED}api_key = 5\n", "providers.scripted.api_key: must be a text"),
    (
        f"{SCRIPTED}poll_seconds = [1, 2]\n",
        "providers.scripted.poll_seconds: must be a list of 3 numbers, each above 0 and at most 86400",
    ),
    (
        f"{SCRIPTED}poll_seconds = [1, 0, 3]\n",
        "providers.scripted.poll_seconds: must be a list of 3 numbers, each above 0 and at most 86400, not 0",
    ),
    (
        '[providers.kie]\nadapter = "kie"\napi_key = "k"\nnsfw_checker = "no way"\n',
        "providers.kie.nsfw_checker: must be true or false",
    ),
    (
        '[providers.relay]\nadapter = "openai"\napi_key = "k"\nmodels = {a = 1}\n',
        "providers.relay.models: must be a table of texts, not 1",
    ),
    ("[server]\nlissten = 1\n", "unknown setting server.lissten (did you mean server.listen?)"),
    ("[sever]\nlisten = 1\n", "unknown setting sever (did you mean server?)"),
    ("listen = 1\n", "unknown setting listen (did you mean server.listen?)"),
    ("[server]\nconcurrency = 1\n", "unknown setting server.concurrency (did you mean engine.concurrency?)"),
    ("[auth]\nzzzz = 1\n", "unknown setting auth.zzzz; there is mode, keys_file"),
    (
        f"{SCRIPTED}step = 1\n",
        "unknown setting providers.scripted.step (did you mean providers.scripted.steps?)",
    ),
    (
        f'{SCRIPTED}api_key_fil = "x"\n',
        "unknown setting providers.scripted.api_key_fil (did you mean providers.scripted.api_key_file?)",
    ),
    (
        "[providers.kie]\nsteps = 1\n",
        "providers.kie.adapter: is missing; it must be one of kie, local, openai, scripted, suitme",
    ),
]


@pytest.mark.parametrize(("toml", "sentence"), WORDS, ids=[sentence for _, sentence in WORDS])
def test_a_sentence_says_what_would_be_right(tmp_path: Path, toml: str, sentence: str) -> None:
    """In words of the house: the setting, what it takes, the number that was given; or what was meant."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, toml)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("adapter", ["kie", "openai", "suitme"])
def test_a_key_that_is_missing_is_asked_for_in_the_same_words(tmp_path: Path, adapter: str) -> None:
    """Whichever the vendor is; an account that is switched off needs none."""
    toml = f'[providers.{adapter}]\nadapter = "{adapter}"\nbase_url = "https://example.com"\n'
    with pytest.raises(SettingsError, match=rf"^providers\.{adapter}: api_key is missing; give api_key, "):
        load(tmp_path, toml)
    assert list(load(tmp_path, f"{toml}enabled = false\n").providers) == ["local"]


def assert_sentence(error: Exception, name: str) -> None:
    """What every such sentence keeps."""
    text = str(error)
    assert name in text
    assert len(text.splitlines()) == 1
    assert len(text) < 400
    assert CANARY not in text
    assert not re.search(r"Traceback|pydantic|\bError\b|<class|input_value|Input should|valid \w+,", text), (
        text
    )


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """Also a folder, and a file that is not UTF-8."""
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "latin.toml"):
        with pytest.raises(SettingsError) as caught:
            load_settings(path, {}, {})
        assert_sentence(caught.value, str(path))


def test_a_wrong_value_beside_a_secret_does_not_show_it(tmp_path: Path) -> None:
    """P26: nor does one in the secret's own place."""
    for toml in (
        f'api_key = "{CANARY}"\nsteps = "many"\n',
        f'api_key = ["{CANARY}"]\n',
        f'api_kee = "{CANARY}"\n',
        f'api_key_env = "{CANARY}"\n',
        f'api_key_file = "{CANARY}"\n',
        f'max_submits = "{CANARY}"\n',
        f'base_url = "{CANARY}"\n',
        f'concurrency = "{CANARY}"\n',
        f'api_key = "{CANARY} and more"\n',
    ):
        with pytest.raises(SettingsError) as caught:
            load(tmp_path, SCRIPTED + toml)
        assert_sentence(caught.value, "providers.scripted")


@pytest.mark.parametrize("name", ["listen", "http_listen", "data_dir"])
def test_an_argument_is_checked_like_a_setting(name: str) -> None:
    """The command line is held to the same rules."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {}, {name: object()})
    assert_sentence(caught.value, f"server.{name}")


# Vendors of the environment


def test_a_vendor_is_added_when_its_usual_variable_is_set() -> None:
    """Only without a file; a setting from the environment goes over it."""
    settings = load_settings(None, {"KIE_API_KEY": CANARY, "IMAGEEDIT_PROVIDERS__KIE__CONCURRENCY": "3"}, {})
    kie = settings.providers["kie"]
    assert (kie.api_key.get_secret_value(), kie.concurrency) == (CANARY, 3)
    assert CANARY not in repr(settings)


def test_a_key_given_as_a_setting_wins_over_the_usual_variable() -> None:
    """The more exact word."""
    environment = {"KIE_API_KEY": "usual", "IMAGEEDIT_PROVIDERS__KIE__API_KEY": CANARY}
    assert load_settings(None, environment, {}).providers["kie"].api_key.get_secret_value() == CANARY


def test_no_vendor_is_added_beside_a_file(tmp_path: Path) -> None:
    """The file says what there is."""
    assert list(load(tmp_path, "", {"KIE_API_KEY": CANARY}).providers) == ["local"]


@pytest.mark.parametrize(
    ("toml", "remedy"),
    [
        ("", 'add [providers.kie] with adapter = "kie" and api_key_env = "KIE_API_KEY"'),
        ('[providers.kie]\nadapter = "kie"\napi_key = "k"\n', "[providers.kie] has another key"),
        ('[providers.kie]\nadapter = "kie"\nenabled = false\n', "[providers.kie] is not enabled"),
        ('[providers.kie]\nadapter = "kie"\napi_key_env = "KIE_API_KEY"\n', None),
        ('[providers.mine]\nadapter = "kie"\napi_key_file = "DIR/key"\n', None),
    ],
    ids=["no provider", "another key", "not enabled", "used", "used from a file"],
)
def test_a_usual_variable_that_nothing_uses_is_named(tmp_path: Path, toml: str, remedy: str | None) -> None:
    """And what would use it. A key is used wherever it was taken from."""
    (tmp_path / "key").write_text(f"{CANARY}\n")
    settings = load(tmp_path, toml, {"KIE_API_KEY": CANARY})
    expected = [f"KIE_API_KEY is set, and no provider uses it: {remedy}"] if remedy else []
    assert [str(unused) for unused in settings.unused_keys] == expected
    assert settings.model_copy(update={"providers": {}}).unused_keys == settings.unused_keys


def test_a_vendor_whose_address_must_be_given_is_not_added_by_its_key() -> None:
    """Without a file neither; so its key is named."""
    settings = load_settings(None, {"SUITME_API_KEY": CANARY, "OPENAI_API_KEY": "used"}, {})
    assert set(settings.providers) == {"local", "openai"}
    assert [str(unused) for unused in settings.unused_keys] == [
        'SUITME_API_KEY is set, and no provider uses it: add [providers.suitme] with adapter = "suitme",'
        ' base_url and api_key_env = "SUITME_API_KEY"'
    ]


def test_a_vendor_that_is_no_table_is_named() -> None:
    """Also where its usual variable is set."""
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {"KIE_API_KEY": CANARY, "IMAGEEDIT_PROVIDERS__KIE": "x"}, {})
    assert_sentence(caught.value, "providers.kie")


@pytest.mark.parametrize("value", ["9" * 5_000, "[" * 5_000], ids=["a huge number", "a deep list"])
def test_what_python_cannot_read_stops_the_start_in_words_too(tmp_path: Path, value: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f"[engine]\nconcurrency = {value}\n")
    with pytest.raises(SettingsError, match="is not valid TOML"):
        load_settings(config, {}, {})
    if value.startswith("["):
        with pytest.raises(SettingsError):
            load_settings(None, {"IMAGEEDIT_ENGINE__CONCURRENCY": value}, {})


class SigningOptions(ScriptedOptions):
    """Options with a secret that no other adapter has."""

    signing_key: SecretStr = SecretStr("")


class SigningAdapter(ScriptedAdapter):
    """An adapter of somebody else."""

    Options = SigningOptions


@pytest.mark.parametrize("form", ["signing_key", "signing_key_env", "signing_key_file"])
def test_a_secret_of_one_adapter_has_every_form(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs its field in the adapter's options, and nothing here."""
    monkeypatch.setitem(ADAPTERS, "signing", SigningAdapter)
    (tmp_path / "key").write_text(CANARY)
    value = {"signing_key": CANARY, "signing_key_env": "KEY", "signing_key_file": str(tmp_path / "key")}[form]
    config = tmp_path / "config.toml"
    config.write_text(f'[providers.signing]\nadapter = "signing"\n{form} = "{value}"\n')
    options = load_settings(config, {"KEY": CANARY}, {}).providers["signing"]
    assert options.signing_key.get_secret_value() == CANARY
