"""Every provider under the suite: one joins with one line in ``PROVIDERS``.

A member says how to bring its vendor up on loopback, and which of its models break a rule on purpose.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from imageedit_server.providers.base import Adapter, ProviderOptions
from imageedit_server.providers.registry import ADAPTERS
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

API_KEY = "key-that-nobody-may-see"
HMAC_KEY = "hmac-key-that-nobody-may-see"
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


@asynccontextmanager
async def kie() -> AsyncIterator[Vendor]:
    async with KieVendor(api_key=API_KEY, webhook_key=HMAC_KEY) as vendor:
        urls = {"base_url": vendor.api_url, "upload_url": vendor.upload_url}
        yield Vendor(urls=urls, ledger=vendor.ledger, leaks=vendor.leaks)


def openai(personality: Personality) -> Callable[[], AbstractAsyncContextManager[Vendor]]:
    @asynccontextmanager
    async def vendor() -> AsyncIterator[Vendor]:
        async with OpenaiVendor(personality=personality, api_key=API_KEY) as vendor:
            yield Vendor(urls={"base_url": vendor.url}, ledger=vendor.ledger, leaks=vendor.leaks)

    return vendor


@asynccontextmanager
async def suitme() -> AsyncIterator[Vendor]:
    async with SuitmeVendor(api_key=API_KEY) as vendor:
        yield Vendor(urls={"base_url": vendor.url}, ledger=vendor.ledger, leaks=vendor.leaks)


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
    def cls(self) -> type[Adapter]:
        return ADAPTERS[self.adapter]


BASE = ("base_url",)
RELAY = {"rules": "relay", "path": "/v1/images/edits/", "models": {"relay/image": "relay-image"}}
PAGE_3 = {"rules": "dall-e-2", "path": "/v1/images/edits/", "models": {"relay/dall-e-2": "dall-e-2"}}
KIE = {"callback_hmac_key": HMAC_KEY}
REFUSES = {"fail": "is there to be refused"}
NEVER_ENDS = {"never": "is there to run into the deadline"}

# fmt: off
PROVIDERS: Mapping[str, Member] = MappingProxyType({
    "local": Member(adapter="local"),
    "scripted": Member(adapter="scripted", refusing=REFUSES, endless=NEVER_ENDS),
    "kie": Member(adapter="kie", settings=KIE, vendor=kie, urls=("base_url", "upload_url")),
    "openai": Member(adapter="openai", vendor=openai(Personality.OPENAI), urls=BASE),
    "relay": Member(adapter="openai", settings=RELAY, vendor=openai(Personality.RELAY), urls=BASE),
    "dall-e-2": Member(adapter="openai", settings=PAGE_3, vendor=openai(Personality.PAGE_3), urls=BASE),
    "suitme": Member(adapter="suitme", vendor=suitme, urls=BASE),
})
# fmt: on
