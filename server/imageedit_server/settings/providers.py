"""``[providers.NAME]``: each adapter's own options, checked by the adapter's own model."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from imageedit_server.engine.gates import parse_rate
from imageedit_server.outbound.addresses import check_base_url, parse_allow
from imageedit_server.providers.base import Adapter, ProviderOptions
from imageedit_server.providers.registry import ADAPTERS, AdapterUnusable, adapter_named, adapter_names
from imageedit_server.settings.complaints import SettingsError, validated
from imageedit_server.settings.secrets import with_secrets

LOCAL = "local"
URL_SETTINGS = ("base_url", "upload_url")
_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_]*")


def add_usual_vendors(raw: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Add every vendor whose usual variable holds a key, for a server that was given no file.

    One whose address must be given cannot be added by a key alone. Of the adapters that ship: to ask the
    others for their variables would import what nobody asked for.
    """
    for name, adapter in ADAPTERS.items():
        has_address = adapter.Options.model_fields["base_url"].default
        if has_address and environment.get(adapter.usual_key_variable):
            table = raw.setdefault("providers", {}).setdefault(name, {})
            if isinstance(table, dict):
                table |= {"adapter": name, "api_key_env": adapter.usual_key_variable, **table}


def provider_options(
    raw: Mapping[str, Any], environment: Mapping[str, str], allow: Collection[str]
) -> dict[str, ProviderOptions]:
    """Return the options of every enabled provider, ``local`` among them. Raises ``SettingsError``."""
    tables = {LOCAL: {}, **raw}
    if isinstance(tables[LOCAL], dict):
        tables[LOCAL] = {"adapter": LOCAL, **tables[LOCAL]}
    adapters = _adapters()
    options = {name: _provider(name, table, adapters, environment, allow) for name, table in tables.items()}
    return {name: found for name, found in options.items() if found.enabled}


def _adapters() -> Collection[str]:
    """Find the names there are. One that two adapters have is no provider's fault, but that of the whole."""
    try:
        return adapter_names()
    except AdapterUnusable as unusable:
        raise SettingsError(f"providers: {unusable}") from None


def _provider(
    name: str, table: Any, adapters: Collection[str], environment: Mapping[str, str], allow: Collection[str]
) -> ProviderOptions:
    where = f"providers.{name}"
    if not _PROVIDER_NAME.fullmatch(name):
        raise SettingsError(f"{where}: a provider's name is lower-case letters, digits and _")
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: must be a table of settings")
    model = _adapter(where, table, adapters).Options
    options: ProviderOptions = validated(model, with_secrets(where, table, model, environment), where)
    for setting in URL_SETTINGS:
        check_url(f"{where}.{setting}", getattr(options, setting, ""), allow)
    try:
        parse_rate(options.max_submits)
    except ValueError as error:
        raise SettingsError(f"{where}.max_submits: {error}") from None
    return options


def _adapter(where: str, table: Mapping[str, Any], names: Collection[str]) -> type[Adapter]:
    if table.get("adapter") not in names:  # a list, since what stands there may not be hashable
        trouble = "must be" if "adapter" in table else "is missing; it must be"
        raise SettingsError(f"{where}.adapter: {trouble} one of {', '.join(names)}")
    try:
        return adapter_named(table["adapter"])
    except AdapterUnusable as unusable:
        raise SettingsError(f"{where}.adapter: {unusable}") from None


def check_url(where: str, url: str, allow: Collection[str]) -> None:
    """Raise ``SettingsError`` for a base URL that is not https, loopback or allowed."""
    try:
        check_base_url(url, parse_allow(allow))
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from None
