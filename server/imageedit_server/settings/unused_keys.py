"""Keys that are there for nothing: the usual variable of a vendor is set, and no provider takes it.

Beside a file no variable adds a vendor, which whoever wrote the file may not know. The variable is named, its
value never.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from imageedit_server.providers.base import ProviderOptions
from imageedit_server.providers.registry import ADAPTERS


@dataclass(frozen=True, kw_only=True, slots=True)
class UnusedKey:
    """A usual variable that is set and that no provider uses; ``remedy`` is how one would."""

    variable: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable} is set, and no provider uses it: {self.remedy}"


def unused_keys(
    tables: Mapping[str, Any], providers: Mapping[str, ProviderOptions], environment: Mapping[str, str]
) -> Iterator[UnusedKey]:
    """Find them. ``tables`` are what was configured, ``providers`` those of them that are enabled.

    A key is used wherever it came from: a variable with the same text as a provider's secret is no news.
    """
    used = {secret for options in providers.values() for secret in _secrets(options)}
    for name, adapter in ADAPTERS.items():
        key = environment.get(adapter.usual_key_variable, "").strip()
        if key and key not in used:
            yield UnusedKey(
                variable=adapter.usual_key_variable, remedy=_remedy(name, adapter.Options, tables, providers)
            )


def _secrets(options: ProviderOptions) -> Iterator[str]:
    for _, value in options:
        if isinstance(value, SecretStr):
            yield value.get_secret_value().strip()


def _remedy(
    name: str,
    options: type[ProviderOptions],
    tables: Mapping[str, Any],
    providers: Mapping[str, ProviderOptions],
) -> str:
    if name in providers:
        return f"[providers.{name}] has another key"
    if name in tables:
        return f"[providers.{name}] is not enabled"
    address = "" if options.model_fields["base_url"].default else ", base_url"
    variable = ADAPTERS[name].usual_key_variable
    return f'add [providers.{name}] with adapter = "{name}"{address} and api_key_env = "{variable}"'
