"""Two paid vendors that remember what they made: one answers at once, one by id, poll and callback."""

import asyncio
import http.client
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol

from tests.servers.config import Table
from tests.vendors.kie.server import KieVendor, Task
from tests.vendors.openai import rules
from tests.vendors.openai.server import OpenaiVendor, Personality

SIDE = 32
CALL_BACK_SECONDS = 0.05
LAST_CALLS_SECONDS = 5.0


class Paid(Protocol):
    """A vendor as a judge sees it. Work has the name that is the prompt's last word."""

    model: str
    size: str
    tells_again: bool
    """Whether it tells what it made even if its answer was lost on the way."""

    @abstractmethod
    def payments(self, name: str) -> int:
        """Return how often it was paid for this work."""

    @abstractmethod
    def made(self, name: str) -> bytes:
        """Return the picture that it made, empty when it made none."""

    @abstractmethod
    def result_host(self) -> str:
        """Return from where results are fetched."""

    @abstractmethod
    def is_called_by(self, connection: str) -> bool:
        """Whether this is a connection to it (``port A to B``), over which it is paid."""

    @abstractmethod
    def table(self) -> Table:
        """Return the provider's settings."""


class Relay(OpenaiVendor):
    """A relay whose answer holds the picture."""

    model, size, tells_again = "relay/model", "64x64", False

    def __init__(self) -> None:
        super().__init__(personality=Personality.RELAY)
        self._made: dict[str, bytes] = {}

    def payments(self, name: str) -> int:
        return sum(_name(each.fields["prompt"]) == name for each in self.ledger)

    def made(self, name: str) -> bytes:
        return self._made.get(name, b"")

    def result_host(self) -> str:
        return self.url

    def is_called_by(self, connection: str) -> bool:
        return connection.endswith(f" to {self.url.rpartition(':')[2]}")

    def table(self) -> Table:
        return {
            "adapter": "openai",
            "base_url": self.url,
            "api_key": self.api_key,
            "rules": "relay",
            "models": {self.model: "relay-image"},
        }

    def _entry(self, asked: rules.Asked, content: bytes, output_format: str) -> dict[str, str]:
        self._made[_name(asked.fields["prompt"])] = content
        return super()._entry(asked, content, output_format)


class CallingKie(KieVendor):
    """A kie.ai that works for a moment, and calls back until it is heard."""

    model, size, tells_again = "seedream/4.5-edit", "1:1", True

    def __init__(self) -> None:
        super().__init__(
            creates_per_window=1_000_000,
            picture_side=SIDE,
            states=("waiting", "success"),
            work_seconds=CALL_BACK_SECONDS,
        )
        self.may_call_back = asyncio.Event()
        self.may_call_back.set()

    async def __aexit__(self, *error: object) -> None:
        self.may_call_back.set()
        if self._at_work:  # a callback that is on its way would hold up the loop's end
            await asyncio.wait(self._at_work, timeout=LAST_CALLS_SECONDS)
        await super().__aexit__(*error)

    def payments(self, name: str) -> int:
        return sum(_name(each.body["input"]["prompt"]) == name for each in self.ledger)

    def made(self, name: str) -> bytes:
        pictures = (
            task.results[0] for task in self.tasks.values() if _name(task.body["input"]["prompt"]) == name
        )
        return next(pictures, b"")

    def result_host(self) -> str:
        return self.result_url

    def is_called_by(self, connection: str) -> bool:
        return connection.endswith(f" to {self.api_url.rpartition(':')[2]}")

    def table(self) -> Table:
        return {
            "adapter": "kie",
            "base_url": self.api_url,
            "upload_url": self.upload_url,
            "api_key": self.api_key,
            "poll_seconds": [CALL_BACK_SECONDS] * 3,
            "max_submits": "",
        }

    async def _work(self, task: Task, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.finish(task.task_id)
        await self.may_call_back.wait()
        while await self._delivered(task.task_id) != 200:  # noqa: ASYNC110  nobody else knows
            await asyncio.sleep(CALL_BACK_SECONDS)

    async def _delivered(self, task_id: str) -> int:
        with suppress(OSError, http.client.HTTPException):
            return await self.call_back(task_id)
        return 0


def tables_of(vendors: Mapping[str, Paid]) -> dict[str, Table]:
    """Return the settings of all."""
    common: Mapping[str, Any] = {"submit_seconds": 20}
    return {f"providers.{name}": {**vendor.table(), **common} for name, vendor in vendors.items()}


def _name(prompt: str) -> str:
    return prompt.rpartition(" ")[2]
