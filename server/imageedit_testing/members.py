"""Members of the provider contract: what is put under the suite, and how its vendor is brought up."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from imageedit_server.providers.base import Adapter, ProviderOptions
from imageedit_server.providers.registry import adapter_named

API_KEY = "key-that-nobody-may-see"
"""The credential of every member; its vendor must take no other."""
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A vendor that is up: where it is, as settings, and what it was paid for; ``leaks`` of credentials."""

    urls: Mapping[str, str] = field(default_factory=dict)
    ledger: Sequence[object] = ()
    leaks: Sequence[object] = ()


@asynccontextmanager
async def no_vendor() -> AsyncIterator[Vendor]:
    """For providers that call nobody."""
    yield Vendor()


@dataclass(frozen=True, kw_only=True)
class Member:
    """One provider. ``settings`` is its options table but for its vendor's ``urls``, named to be replaced.

    ``refusing`` and ``endless`` are the exceptions, with the reason of each.
    """

    adapter: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    vendor: Callable[[], AbstractAsyncContextManager[Vendor]] = no_vendor
    urls: tuple[str, ...] = ()
    refusing: Mapping[str, str] = field(default_factory=dict)
    """Models whose submit is always refused."""
    endless: Mapping[str, str] = field(default_factory=dict)
    """Models whose accepted work never ends."""

    def options(self, **changed: Any) -> ProviderOptions:
        """Make options; ``changed`` are settings over the member's own."""
        nowhere = dict.fromkeys(self.urls, NOWHERE)
        return self.cls.Options.model_validate(self.table | nowhere | changed)

    @property
    def table(self) -> dict[str, Any]:
        """The settings without the URLs."""
        return {"adapter": self.adapter, "api_key": API_KEY, **self.settings}

    @property
    def secrets(self) -> list[str]:
        """Every secret of the settings, which nothing may show."""
        return [
            self.table[name]
            for name, option in self.cls.Options.model_fields.items()
            if option.annotation is SecretStr and self.table.get(name)
        ]

    @property
    def cls(self) -> type[Adapter]:
        """The adapter, as the registry finds it: built in, or of an installed distribution."""
        return adapter_named(self.adapter)


def held(content: bytes) -> Callable[[], Awaitable[bytes]]:
    """Return how an adapter reads these bytes of a picture."""

    async def read() -> bytes:
        return content

    return read
