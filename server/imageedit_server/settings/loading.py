"""Where settings come from: a TOML file, environment variables over it, the command line's over both.

``IMAGEEDIT_SERVER__LISTEN`` is ``[server] listen``; only variables with ``__`` are settings. Whatever is
wrong stops the start with one sentence that names it.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imageedit_server.settings.addresses import parse_address
from imageedit_server.settings.complaints import SettingsError, validated
from imageedit_server.settings.providers import add_usual_vendors, check_url, provider_options
from imageedit_server.settings.sections import AuthSettings, Settings, TlsSettings
from imageedit_server.settings.unused_keys import unused_keys

ENV_PREFIX = "IMAGEEDIT_"


def settings_from_environment(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Load with the variables of this process."""
    return load_settings(config, os.environ, overrides)


def keys_file_from_environment(config: Path | None) -> Path:
    """Find the keys file with the variables of this process."""
    return load_keys_file(config, os.environ)


def load_settings(
    config: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Settings:
    """Read the file, the environment and the command line's ``overrides`` of ``[server]``; later ones win."""
    raw = _read(config, environment)
    if overrides and isinstance(server := raw.setdefault("server", {}), dict):
        server.update(overrides)
    if config is None:
        add_usual_vendors(raw, environment)
    settings: Settings = _beside(config, validated(Settings, raw, ""))
    _check_tls(settings.tls)
    _check_exposure(settings)
    check_url("server.public_url", settings.server.public_url, settings.fetch.allow)
    providers = provider_options(settings.providers, environment, settings.fetch.allow)
    return settings.with_providers(providers, unused_keys(settings.providers, providers, environment))


def load_keys_file(config: Path | None, environment: Mapping[str, str]) -> Path:
    """Read where the keys are, and nothing else: what else a server needs may not be set here."""
    auth = _read(config, environment).get("auth", {})
    settings = Settings(auth=validated(AuthSettings, auth, "auth"))
    return _beside(config, settings).auth.keys_file


def _read(config: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    raw = _read_file(config) if config else {}
    for variable, value in environment.items():
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            _set(raw, variable, value)
    return raw


def _beside(config: Path | None, settings: Settings) -> Settings:
    """Look for the files of keys and certificates in the config file's folder."""
    folder = config.parent if config else Path()
    auth = {"keys_file": folder / settings.auth.keys_file}
    tls = {name: str(folder / path) for name, path in settings.tls if path}
    ca_file = settings.outbound.ca_file
    outbound = {"ca_file": str(folder / ca_file) if ca_file else ""}
    return settings.model_copy(
        update={
            "auth": settings.auth.model_copy(update=auth),
            "tls": settings.tls.model_copy(update=tls),
            "outbound": settings.outbound.model_copy(update=outbound),
        }
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no {path}; make it, it may be empty, or leave --config out") from None
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # also of what is no text, and of numbers beyond Python's
        raise SettingsError(f"{path} is not valid TOML: {error}; texts stand in quotes") from None


def _set(raw: dict[str, Any], variable: str, value: str) -> None:
    *path, name = variable.removeprefix(ENV_PREFIX).lower().split("__")
    section = raw
    for part in path:
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise SettingsError(f"{variable} sets something inside {part}, which is a single value")
    section[name] = _toml_value(value)


def _toml_value(text: str) -> Any:
    """Read lists and tables as TOML writes them; everything else stays text, which the models convert."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _check_tls(tls: TlsSettings) -> None:
    if bool(tls.cert_file) != bool(tls.key_file):
        raise SettingsError("tls: cert_file and key_file belong together; set both or none")
    if tls.client_ca_file and not tls.cert_file:
        raise SettingsError("tls.client_ca_file: needs cert_file and key_file too")


def _check_exposure(settings: Settings) -> None:
    asked = settings.auth.mode != "none" or settings.tls.client_ca_file
    if not asked and not parse_address(settings.server.listen).is_loopback:
        raise SettingsError(
            f"server.listen: {settings.server.listen} can be reached from other machines, and callers are not"
            ' asked who they are; set auth.mode = "api_key" or tls.client_ca_file, or listen on 127.0.0.1'
        )
