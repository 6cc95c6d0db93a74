"""Every provider under the suite: one joins with one line in ``PROVIDERS``.

A member says how to bring its vendor up on loopback, and which of its models break a rule on purpose.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import MappingProxyType

from imageedit_testing.members import API_KEY, Member, Vendor
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

HMAC_KEY = "hmac-key-that-nobody-may-see"


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
