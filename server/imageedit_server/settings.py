"""Every setting: its name, its default, and where it comes from (DESIGN §6).

A TOML file, then environment variables over it: ``IMAGEEDIT_SERVER__LISTEN`` is ``[server] listen``; only
variables with ``__`` are settings. A secret is given as NAME, as NAME_env (the name of a variable that holds
it) or as NAME_file. Whatever is wrong stops the start with one sentence that names it.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from imageedit_server.core.task import State
from imageedit_server.engine.gates import parse_rate
from imageedit_server.outbound.addresses import check_base_url, parse_allow
from imageedit_server.providers.base import DAY, ProviderOptions
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.setting_words import complaint

ENV_PREFIX = "IMAGEEDIT_"
LOCAL = "local"
URL_SETTINGS = ("base_url", "upload_url")
SECRETS = ("api_key", "callback_hmac_key")
HOUR = 3600
MIN_KEPT_DAYS = 7
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_]*")
ADDRESS_FORM = "HOST:PORT, such as 127.0.0.1:50051"
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


class SettingsError(Exception):
    """The server cannot start like this; the message is the whole sentence for the operator, on one line."""

    def __init__(self, sentence: str) -> None:
        super().__init__(" ".join(sentence.split()))


class Address(BaseModel):
    """A host and a port to listen on; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``. Raises ``ValueError`` with a sentence."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"must be {ADDRESS_FORM}")
    return Address(host=match["host"], port=int(match["port"]))


def _is_address(text: str) -> str:
    parse_address(text)
    return text


def _is_allow(entries: tuple[str, ...]) -> tuple[str, ...]:
    parse_allow(entries)
    return entries


def _is_kept_long_enough(days: int) -> int:
    if 0 < days < MIN_KEPT_DAYS:
        raise ValueError(f"must be 0, which is for ever, or at least {MIN_KEPT_DAYS}")
    return days


KeptDays = Annotated[int, Field(ge=0, le=36_500), AfterValidator(_is_kept_long_enough)]
ListenAddress = Annotated[str, Field(description=ADDRESS_FORM), AfterValidator(_is_address)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """``[server]``."""

    listen: ListenAddress = "127.0.0.1:50051"
    http_listen: ListenAddress = "127.0.0.1:8080"
    public_url: str = ""
    data_dir: Path = Path("./data")
    default_model: str = "local/basic"
    default_model_edit_model: str = "local/basic"
    drain_seconds: float = Field(default=20, ge=0, le=HOUR)


class ImagesSettings(_Section):
    """``[images]``. Files are the one place for pictures that there is."""

    url: Literal["file"] = "file"
    max_bytes: int = Field(default=20 * 1024 * 1024, ge=1)
    max_pixels: int = Field(default=50_000_000, ge=1)


class EngineSettings(_Section):
    """``[engine]``."""

    concurrency: int = Field(default=64, ge=1)
    lease_seconds: float = Field(default=30, ge=3, le=HOUR)
    unknown_window_seconds: float = Field(default=1800, ge=0, le=7 * DAY)


class StoreSettings(_Section):
    """``[store]``. SQLite is the one store there is."""

    url: Literal["sqlite"] = "sqlite"
    min_free_bytes: int = Field(default=128 * 1024 * 1024, ge=1024 * 1024)


class AuthSettings(_Section):
    """``[auth]``. ``keys_file`` is beside the config file."""

    mode: Literal["none", "api_key"] = "none"
    keys_file: Path = Path("keys.toml")


class TlsSettings(_Section):
    """``[tls]``: PEM files, beside the config file; empty is unset."""

    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""


class FetchSettings(_Section):
    """``[fetch]``."""

    allow: Annotated[tuple[str, ...], AfterValidator(_is_allow)] = ()


class LimitsSettings(_Section):
    """``[limits]``, per tenant; 0 is no limit."""

    watches: int = Field(default=2000, ge=0)
    queued_tasks: int = Field(default=0, ge=0)
    stored_bytes: int = Field(default=0, ge=0)
    requests_per_second: float = Field(default=0, ge=0, le=1_000_000)


class RetentionSettings(_Section):
    """``[retention]``: how many days finished tasks are kept; 0 is for ever.

    At least 7 otherwise: so long a request_id must stand for its task (P3).
    """

    succeeded_days: KeptDays = 30
    failed_days: KeptDays = 30
    cancelled_days: KeptDays = 30

    def keep(self) -> dict[State, timedelta]:
        """Return how long tasks are kept that ended in a state; those kept for ever are missing."""
        days = {
            State.SUCCEEDED: self.succeeded_days,
            State.FAILED: self.failed_days,
            State.CANCELLED: self.cancelled_days,
        }
        return {state: timedelta(days=number) for state, number in days.items() if number}


class LogSettings(_Section):
    """``[log]``. ``auto`` is text on a terminal, and JSON otherwise."""

    format: Literal["auto", "json", "text"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Section):
    """All settings. ``providers`` holds each adapter's own options, checked by the adapter's own model."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    images: ImagesSettings = ImagesSettings()
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings = TlsSettings()
    fetch: FetchSettings = FetchSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitsSettings = LimitsSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    providers: dict[str, Any] = {}


def load_settings(
    config: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Settings:
    """Read the file, the environment and the command line's ``overrides`` of ``[server]``; later ones win."""
    raw = _read(config, environment)
    if overrides and isinstance(server := raw.setdefault("server", {}), dict):
        server.update(overrides)
    if config is None:
        _add_usual_vendors(raw, environment)
    settings: Settings = _beside(config, _validated(Settings, raw, ""))
    _check_tls(settings.tls)
    _check_exposure(settings)
    _check_url("server.public_url", settings.server.public_url, settings.fetch.allow)
    providers = _providers(settings.providers, environment, settings.fetch.allow)
    return settings.model_copy(update={"providers": providers})


def load_keys_file(config: Path | None, environment: Mapping[str, str]) -> Path:
    """Read where the keys are, and nothing else: what else a server needs may not be set here."""
    auth = _read(config, environment).get("auth", {})
    settings = Settings(auth=_validated(AuthSettings, auth, "auth"))
    return _beside(config, settings).auth.keys_file


def _read(config: Path | None, environment: Mapping[str, str]) -> dict[str, Any]:
    raw = _read_file(config) if config else {}
    for variable, value in environment.items():
        if variable.startswith(ENV_PREFIX) and "__" in variable:
            _set(raw, variable, value)
    return raw


def _beside(config: Path | None, settings: Settings) -> Settings:
    """Look for the files of callers' credentials in the config file's folder."""
    folder = config.parent if config else Path()
    auth = {"keys_file": folder / settings.auth.keys_file}
    tls = {name: str(folder / path) for name, path in settings.tls if path}
    return settings.model_copy(
        update={"auth": settings.auth.model_copy(update=auth), "tls": settings.tls.model_copy(update=tls)}
    )


def _add_usual_vendors(raw: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Add every vendor whose usual variable holds a key, for a server that was given no file."""
    for name, adapter in ADAPTERS.items():
        if environment.get(adapter.usual_key_variable):
            table = raw.setdefault("providers", {}).setdefault(name, {})
            if isinstance(table, dict):
                table |= {"adapter": name, "api_key_env": adapter.usual_key_variable, **table}


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


def _validated(model: type[Any], raw: Mapping[str, Any], prefix: str) -> Any:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise SettingsError(complaint(error, model, prefix)) from None


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


def _providers(
    raw: Mapping[str, Any], environment: Mapping[str, str], allow: Collection[str]
) -> dict[str, ProviderOptions]:
    tables = {LOCAL: {}, **raw}
    if isinstance(tables[LOCAL], dict):
        tables[LOCAL] = {"adapter": LOCAL, **tables[LOCAL]}
    options = {name: _provider(name, table, environment, allow) for name, table in tables.items()}
    return {name: found for name, found in options.items() if found.enabled}


def _provider(
    name: str, table: Any, environment: Mapping[str, str], allow: Collection[str]
) -> ProviderOptions:
    where = f"providers.{name}"
    if not _PROVIDER_NAME.fullmatch(name):
        raise SettingsError(f"{where}: a provider's name is lower-case letters, digits and _")
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: must be a table of settings")
    if table.get("adapter") not in list(ADAPTERS):  # a list, since what stands there may not be hashable
        trouble = "must be" if "adapter" in table else "is missing; it must be"
        raise SettingsError(f"{where}.adapter: {trouble} one of {', '.join(sorted(ADAPTERS))}")
    filled = _with_secrets(where, table, environment)
    options: ProviderOptions = _validated(ADAPTERS[table["adapter"]].Options, filled, where)
    for setting in URL_SETTINGS:
        _check_url(f"{where}.{setting}", getattr(options, setting, ""), allow)
    try:
        parse_rate(options.max_submits)
    except ValueError as error:
        raise SettingsError(f"{where}.max_submits: {error}") from None
    return options


def _check_url(where: str, url: str, allow: Collection[str]) -> None:
    try:
        check_base_url(url, parse_allow(allow))
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None


def _with_secrets(where: str, table: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Look up every secret that is named and not given itself."""
    filled = dict(table)
    for name in SECRETS:
        variable = _text(f"{where}.{name}_env", filled.pop(f"{name}_env", ""))
        path = _text(f"{where}.{name}_file", filled.pop(f"{name}_file", ""))
        if filled.get(name):
            continue
        if variable:
            filled[name] = environment.get(variable) or _refuse_variable(f"{where}.{name}", variable)
        elif path:
            filled[name] = _read_secret(f"{where}.{name}_file", Path(path))
    return filled


def _refuse_variable(where: str, variable: str) -> NoReturn:
    """Name the variable only if it looks like one: it may be the secret itself."""
    shown = (
        f"the variable {variable} is not set" if _VARIABLE.fullmatch(variable) else "no such variable is set"
    )
    raise SettingsError(
        f"{where}_env: {shown}; set it, or write the secret itself as {where} or into a file as {where}_file"
    )


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(f"{where}: must be a text")
    return value


def _read_secret(where: str, path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as error:  # the path is not named: it may be the secret itself
        raise SettingsError(
            f"{where}: cannot read that file: {error.strerror}; a relative path starts at {Path.cwd()}"
        ) from None
    except ValueError:
        raise SettingsError(f"{where}: that file is not a text") from None
    if not secret:
        raise SettingsError(f"{where}: that file is empty")
    return secret


def settings_from_environment(config: Path | None, overrides: Mapping[str, Any]) -> Settings:
    """Load with the variables of this process."""
    return load_settings(config, os.environ, overrides)


def keys_file_from_environment(config: Path | None) -> Path:
    """Find the keys file with the variables of this process."""
    return load_keys_file(config, os.environ)
