"""The sections of the settings: every name, its default and its range (DESIGN §6)."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr

from imageedit_server.core.task import State
from imageedit_server.outbound.addresses import parse_allow
from imageedit_server.outbound.proxy import parse_proxy
from imageedit_server.providers.base import DAY, ProviderOptions
from imageedit_server.settings.addresses import ADDRESS_FORM, parse_address
from imageedit_server.settings.unused_keys import UnusedKey

HOUR = 3600
MIN_KEPT_DAYS = 7
MESSAGE_BYTES = 4 * 1024 * 1024
"""The largest request that there is."""


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


def _is_proxy(text: str) -> str:
    if text:
        parse_proxy(text)
    return text


def _holds_a_message(size_bytes: int) -> int:
    if 0 < size_bytes < MESSAGE_BYTES:
        raise ValueError(f"must be 0, which is no limit, or at least {MESSAGE_BYTES}, the largest request")
    return size_bytes


InflightBytes = Annotated[int, Field(ge=0), AfterValidator(_holds_a_message)]
KeptDays = Annotated[int, Field(ge=0, le=36_500), AfterValidator(_is_kept_long_enough)]
ListenAddress = Annotated[str, Field(description=ADDRESS_FORM), AfterValidator(_is_address)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """``[server]``."""

    listen: ListenAddress = "127.0.0.1:50051"
    http_listen: ListenAddress = "127.0.0.1:8080"
    public_url: str = ""
    behind_proxy: bool = False
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
    result_grace_seconds: float = Field(default=60, ge=0, le=HOUR)
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


class OutboundSettings(_Section):
    """``[outbound]``: the way to the vendors. ``ca_file`` is beside the config file; empty is unset."""

    proxy: Annotated[str, AfterValidator(_is_proxy)] = ""
    ca_file: str = ""


class LimitsSettings(_Section):
    """``[limits]``, per tenant but for ``inflight_bytes_total``; 0 is no limit."""

    watches: int = Field(default=2000, ge=0)
    queued_tasks: int = Field(default=0, ge=0)
    stored_bytes: int = Field(default=0, ge=0)
    requests_per_second: float = Field(default=0, ge=0, le=1_000_000)
    inflight_bytes: InflightBytes = 64 * 1024 * 1024
    inflight_bytes_total: InflightBytes = 256 * 1024 * 1024


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
    outbound: OutboundSettings = OutboundSettings()
    engine: EngineSettings = EngineSettings()
    limits: LimitsSettings = LimitsSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    providers: dict[str, Any] = {}
    _unused_keys: tuple[UnusedKey, ...] = PrivateAttr(())

    @property
    def unused_keys(self) -> tuple[UnusedKey, ...]:
        """The vendors' usual variables that are set and that no provider uses."""
        return self._unused_keys

    def with_providers(self, providers: Mapping[str, ProviderOptions], unused: Iterable[UnusedKey]) -> Self:
        """Return the same settings with what the adapters made of ``providers``."""
        settings = self.model_copy(update={"providers": dict(providers)})
        settings._unused_keys = tuple(unused)
        return settings
