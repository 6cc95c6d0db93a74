"""The adapter from outside proves itself: the whole contract, with one member."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from studio import studio

from imageedit_testing.members import API_KEY, Member, Vendor
from imageedit_testing.provider_contract import *  # noqa: F403  the suite
from imageedit_testing.provider_contract import fixtures_for


@asynccontextmanager
async def vendor() -> AsyncIterator[Vendor]:
    with studio(API_KEY) as (url, paid):
        yield Vendor(urls={"base_url": url}, ledger=paid)


ECHO = Member(adapter="echo_studio", vendor=vendor, urls=("base_url",))
member, bench, paid, keyed = fixtures_for({"echo": ECHO})
