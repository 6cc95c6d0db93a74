"""The vendors of a storm: they outlive the servers, and their ledgers say what was charged."""

import asyncio
import http.client
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

from tests.servers.config import Table
from tests.storm.load import KIE, RELAY, SUITME
from tests.storm.riddles import riddle
from tests.vendors.kie.behaviours import on_the_wire as kie_wire
from tests.vendors.kie.behaviours import replies
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.behaviours import on_the_wire as openai_wire
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.serving import Line, Response, Wire, hang
from tests.vendors.suitme.behaviours import on_the_wire as suitme_wire
from tests.vendors.suitme.server import SuitmeVendor

POLL_SECONDS = [0.1, 0.1, 0.1]
CALL_BACK_SECONDS = 0.1
"""Between two tries of a vendor to deliver a callback."""
SHARES = (0.01, 0.5, 0.99)
"""F11: how much of a result has come when the server dies."""
ASYNCHRONOUS = (KIE, SUITME)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a vendor was paid for. ``name`` is the request_id, ``token`` kie.ai's secret of the attempt."""

    provider: str
    name: str
    vendor_task_id: str = ""
    token: str = ""


@dataclass
class Vendors:
    """kie.ai calls back until it is heard, and lies now and then; a relay answers; Suitme is polled."""

    dice: Random
    kie: KieVendor = field(default_factory=lambda: KieVendor(creates_per_window=1_000_000, picture_side=32))
    relay: OpenaiVendor = field(
        default_factory=lambda: OpenaiVendor(personality=Personality.RELAY, work_seconds=0.15)
    )
    suitme: SuitmeVendor = field(default_factory=lambda: SuitmeVendor(picture_side=32))
    heard: set[str] = field(default_factory=set)
    """The vendor's ids of which a callback was answered 200."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for vendor in (self.kie, self.relay, self.suitme):
                await stack.enter_async_context(vendor)
            calling = asyncio.create_task(self._call_back_for_ever())
            stack.push_async_callback(_cancel, calling)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    def urls(self) -> list[str]:
        """Where results are fetched from."""
        return [self.kie.result_url, self.relay.url, self.suitme.url]

    def tables(self) -> Mapping[str, Table]:
        """The providers' settings."""
        common = {"submit_seconds": 60, "poll_seconds": POLL_SECONDS}
        return {
            f"providers.{KIE}": {
                "adapter": "kie",
                "base_url": self.kie.api_url,
                "upload_url": self.kie.upload_url,
                "api_key": self.kie.api_key,
                "max_submits": "",
                **common,
            },
            f"providers.{RELAY}": {
                "adapter": "openai",
                "base_url": self.relay.url,
                "api_key": self.relay.api_key,
                "rules": "relay",
                "response_format": "url",
                "models": {"relay/model": "relay-image"},
                **common,
            },
            f"providers.{SUITME}": {
                "adapter": "suitme",
                "base_url": self.suitme.url,
                "api_key": self.suitme.api_key,
                **common,
            },
        }

    def charges(self) -> list[Charge]:
        """All three ledgers."""
        return [
            *(
                Charge(
                    KIE,
                    _name(each.body["input"]["prompt"]),
                    each.task_id,
                    each.body.get("callBackUrl", "").rpartition("/")[2],
                )
                for each in self.kie.ledger
            ),
            *(Charge(RELAY, _name(each.fields["prompt"])) for each in self.relay.ledger),
            *(Charge(SUITME, each.body["user_id"], each.task_id) for each in self.suitme.ledger),
        ]

    def answers_nobody(self) -> None:
        """Take the next paid call at each vendor, charge for it, and never answer."""
        self.kie.misbehave("createTask", kie_wire("hangs", hang))
        self.relay.misbehave(openai_wire("hangs", hang))
        self.suitme.misbehave("models/default", suitme_wire("hangs", hang))

    def stalls_a_download(self) -> None:
        """Send a part of the next result and no more."""
        share = self.dice.choice(SHARES)
        self.kie.misbehave("result", replies("stalls", lambda honest: _part(honest, share)))

    def riddles(self) -> None:
        """Answer the relay's next edit in a form that nobody knows yet."""
        self.relay.misbehave(replies("riddles", riddle))

    def behave(self) -> None:
        """Be honest again."""
        for vendor in (self.kie, self.relay, self.suitme):
            vendor.behave()

    async def _call_back_for_ever(self) -> None:
        told = 0
        async with asyncio.TaskGroup() as group:
            while True:
                for number, charge in enumerate(self.kie.ledger[told:], told):
                    group.create_task(self._call_back(charge.task_id, lies=number % 2 == 0))
                told = len(self.kie.ledger)
                await asyncio.sleep(CALL_BACK_SECONDS / 2)

    async def _call_back(self, task_id: str, *, lies: bool) -> None:
        """Try until somebody answers 200; a lie about the outcome goes first."""
        for state in ("fail", None) if lies else (None,):
            while await self._delivered(task_id, state) != 200:  # noqa: ASYNC110  nobody else knows
                await asyncio.sleep(CALL_BACK_SECONDS)
        self.heard.add(task_id)

    async def _delivered(self, task_id: str, state: str | None) -> int:
        with suppress(OSError, http.client.HTTPException):
            return await self.kie.call_back(task_id, state=state)
        return 0


def _name(prompt: str) -> str:
    return prompt.rpartition(" ")[2]


def _part(honest: Response, share: float) -> Wire:
    async def wire(line: Line) -> None:
        content = honest.content()
        await line.send(honest.head() + content[: int(len(content) * share)])
        await hang(line)

    return wire


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
