"""What ``imageedit-server check`` finds before a start or a caller does: by opening what a start opens."""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from imageedit_server.access.keys import add_key
from imageedit_server.cli.app import app
from imageedit_server.core.model import Model
from imageedit_server.core.request import Kind
from imageedit_server.maintenance import Finding, check, endings
from imageedit_server.settings import load_settings
from tests.outbound.servers import CERTS

CANARY = "canary-5d2e80"
NOTHING_SET: Mapping[str, str] = MappingProxyType({})
KEYS = '[auth]\nmode = "api_key"\n'
TLS = '[tls]\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
MODEL = '[server]\ndefault_model = "{}"\n'
SCRIPTED = '[providers.scripted]\nadapter = "scripted"\n'
SUITME = '[providers.suitme]\nadapter = "suitme"\nbase_url = "http://127.0.0.1:1"\napi_key = "k"\n'


async def found(folder: Path, toml: str, environment: Mapping[str, str] = NOTHING_SET) -> dict[str, Finding]:
    """Check a configuration in this folder; return the findings by subject."""
    config = folder / "config.toml"
    config.write_text(toml)
    settings = load_settings(config, environment, {"data_dir": folder / "data"})
    return {finding.subject: finding async for finding in check(settings)}


def install(folder: Path, cert: str, key: str) -> None:
    """Put a certificate and a key of the tests where the configuration looks for them."""
    shutil.copy(CERTS / f"test-only-{cert}.pem", folder / "cert.pem")
    shutil.copy(CERTS / f"test-only-{key}.key", folder / "key.pem")


async def test_all_is_well_with_all_there(tmp_path: Path) -> None:
    """What is right is told too, so that a person sees what was looked at."""
    for tenant in ("shop", "shop", "blog"):
        add_key(tmp_path / "keys.toml", tenant)
    install(tmp_path, "localhost", "localhost")
    findings = await found(tmp_path, KEYS + TLS)
    assert all(finding.ok for finding in findings.values()), findings
    assert "has keys: 3, of tenants: 2." in findings["keys"].sentence
    assert "2120" in findings["certificate"].sentence
    assert "local/basic" in findings["default models"].sentence


@pytest.mark.parametrize(
    ("listen", "more", "warns"),
    [
        ("0.0.0.0:50051", "", True),
        ("[::]:50051", "", True),
        ("edits.example.com:50051", "", True),
        ("0.0.0.0:50051", TLS, True),
        ("0.0.0.0:50051", f'{TLS}client_ca_file = "cert.pem"\n', False),
        ("0.0.0.0:50051", "behind_proxy = true\n", False),
        ("127.0.0.1:50051", "", False),
        ("localhost:50051", "", False),
        ("[::1]:50051", "", False),
    ],
)
async def test_strangers_at_grpc_itself_are_warned_of(
    tmp_path: Path, listen: str, more: str, warns: bool
) -> None:
    """A warning fails nothing: a network of one's own is a proxy of its kind."""
    install(tmp_path, "localhost", "localhost")
    findings = await found(tmp_path, f'[auth]\nmode = "api_key"\n[server]\nlisten = "{listen}"\n{more}')
    assert ("listener" in findings) is warns
    if warns:
        assert findings["listener"].ok
        assert findings["listener"].warns
        assert "server.behind_proxy = true" in findings["listener"].sentence


@pytest.mark.parametrize(("more", "lines"), [("", 1), ("behind_proxy = true\n", 0)])
def test_the_command_warns_of_strangers_on_stdout_and_ends_with_0(
    tmp_path: Path, more: str, lines: int
) -> None:
    add_key(tmp_path / "keys.toml", "shop")
    config = tmp_path / "config.toml"
    config.write_text(f'{KEYS}[server]\nlisten = "0.0.0.0:50051"\n{more}')
    ran = CliRunner().invoke(app, ["check", "--config", str(config), "--data-dir", str(tmp_path / "data")])
    warned = [line for line in ran.stdout.splitlines() if line.startswith("warn  listener: ")]
    assert (ran.exit_code, ran.stderr, len(warned)) == (0, "", lines)
    for line in warned:
        assert "Strangers can reach gRPC at 0.0.0.0:50051" in line
        assert all(way in line for way in ("docs/proxies", "behind_proxy = true", "tls.client_ca_file"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "there is no"),
        ("", "has no keys, so nobody can call"),
        ("shop = [", "is not valid TOML"),
        ('shop = ["secret-key"]', "has a key that is not"),
    ],
    ids=["missing", "empty", "not TOML", "not a hash"],
)
async def test_keys_that_let_nobody_in(tmp_path: Path, text: str | None, words: str) -> None:
    """By the name of the setting; what may be a key is not shown."""
    if text is not None:
        (tmp_path / "keys.toml").write_text(text)
    keys = (await found(tmp_path, KEYS))["keys"]
    assert not keys.ok
    assert keys.sentence.startswith("auth.keys_file: ")
    assert words in keys.sentence
    assert "secret-key" not in keys.sentence


@pytest.mark.parametrize(
    ("cert", "key", "words"),
    [
        ("expired", "good.example", "certificate has expired; renew it"),
        ("localhost", "renewed", "is not a PEM certificate chain that belongs to the key"),
    ],
    ids=["expired", "another's key"],
)
async def test_certificates_that_no_client_takes(tmp_path: Path, cert: str, key: str, words: str) -> None:
    install(tmp_path, cert, key)
    certificate = (await found(tmp_path, TLS))["certificate"]
    assert not certificate.ok
    assert words in certificate.sentence


@pytest.mark.parametrize(("missing", "setting"), [("cert.pem", "tls.cert_file"), ("key.pem", "tls.key_file")])
async def test_files_of_tls_that_are_missing(tmp_path: Path, missing: str, setting: str) -> None:
    install(tmp_path, "localhost", "localhost")
    (tmp_path / missing).unlink()
    certificate = (await found(tmp_path, TLS))["certificate"]
    assert not certificate.ok
    assert certificate.sentence == f"{setting}: cannot read {tmp_path / missing}: No such file or directory"


@pytest.mark.parametrize(
    ("toml", "sentence"),
    [
        (
            MODEL.format("local/basik") + SCRIPTED,
            "server.default_model: 'local/basik' is served by no provider here (did you mean local/basic?);"
            " set it to one of local/basic, scripted/fail, scripted/never, scripted/ok",
        ),
        (
            MODEL.format("suitme/model-edit") + SUITME,
            "server.default_model: 'suitme/model-edit' does not serve EDIT_IMAGE tasks; set it to one of"
            " local/basic",
        ),
        (
            "[providers.local]\nenabled = false\n",
            "server.default_model: 'local/basic' is served by no provider here; enable a provider that has a"
            " model for such tasks",
        ),
    ],
    ids=["mistyped", "another kind", "nobody"],
)
async def test_default_models_that_nobody_serves(tmp_path: Path, toml: str, sentence: str) -> None:
    """In the words that a start would use."""
    assert (await found(tmp_path, toml))["default models"] == Finding("default models", sentence, ok=False)


OPENAI_UNUSED = (
    'OPENAI_API_KEY is set, and no provider uses it: add [providers.openai] with adapter = "openai" and'
    ' api_key_env = "OPENAI_API_KEY"'
)


async def test_a_key_that_no_provider_uses_is_named(tmp_path: Path) -> None:
    """Beside a file a variable adds nothing: the likeliest reason why a vendor's model is missing."""
    findings = await found(tmp_path, MODEL.format("gpt-image-2"), {"OPENAI_API_KEY": CANARY})
    assert findings["unused key"] == Finding("unused key", f"{OPENAI_UNUSED}.")
    assert findings["default models"].sentence == (
        "server.default_model: 'gpt-image-2' is served by no provider here; set it to one of local/basic; "
        + OPENAI_UNUSED
    )
    assert CANARY not in str(findings)
    assert "unused key" not in await found(tmp_path, "", {"OPENAI_API_KEY": ""})


async def test_models_that_clash(tmp_path: Path) -> None:
    toml = "".join(
        f'[providers.{name}]\nadapter = "openai"\napi_key = "k"\nbase_url = "http://127.0.0.1:1"\n'
        for name in ("one", "two")
    )
    providers = (await found(tmp_path, toml))["providers"]
    assert not providers.ok
    assert "is served by providers one and two" in providers.sentence


def ending(name: str, day: date | None) -> Model:
    return Model(
        name=name,
        provider="p",
        kinds=frozenset({Kind.EDIT_IMAGE}),
        max_prompt_chars=1,
        max_image_bytes=1,
        shutdown_date=day,
    )


def test_models_that_end_soon_or_have_ended_are_named() -> None:
    """The oldest end first; 30 days is soon."""
    today = date(2026, 11, 30)
    models = [ending("stays", None), ending("later", date(2026, 12, 31))]
    assert endings(models, today) == "None of 2 is known to end within 30 days."
    models += [ending("soon", date(2026, 12, 30)), ending("now", today), ending("old", date(2025, 5, 1))]
    assert endings(models, today) == (
        "Their vendors end old on 2025-05-01 (which is past), now on 2026-11-30 (which is past),"
        " soon on 2026-12-30 (in 30 days)."
    )
