"""A vendor with a ledger, that a test drives by hand. It outlives every crash of ours.

Its ledger is the truth about charges: work is charged when it is taken, the worst that a vendor may do. What
its answers mean is decided by the table that every real adapter uses (``providers.outcomes``).
"""

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from hashlib import sha256
from typing import Any, cast

from PIL import Image as Pillow

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import image_id_of
from imageedit_server.outbound.client import Broken, NotSent
from imageedit_server.outbound.fetch import FetchFailed
from imageedit_server.providers import outcomes
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    InProgress,
    Job,
    Output,
    Prepared,
    Report,
    VendorTaskUnknown,
)

SYNCHRONOUS = "plain"
"""The provider whose paid call lasts until the work is done; the others are polled."""
SHADES = 3
"""How many pictures callers have; each vendor's result has a shade of its own above them."""
PATIENCE = 25
"""After so many calls for one task the vendor answers no more: who sends without end does not go on."""
RESULT_URL = "https://results.test/"


class Fault(Enum):
    """What the vendor does wrong with one call."""

    UNREACHABLE = auto()
    """The connection is refused: nothing was sent."""
    TOO_MANY = auto()
    """429 with a Retry-After, and nothing done."""
    TOO_MANY_UNTIL_WHENEVER = auto()
    """429 without one."""
    INVALID = auto()
    """422: the vendor will never do this."""
    BROKEN_BEFORE = auto()
    """500, and the work was not taken. Nobody outside can know."""
    BROKEN_AFTER = auto()
    """502, and the work was taken."""
    RESET = auto()
    """The work was taken and the reply is lost."""
    SILENT = auto()
    """The work was taken and nothing ever comes back."""
    CALLBACK_FIRST = auto()
    """All is well, but the work is done and called back before the reply is sent."""
    RIDDLE = auto()
    """The work was taken and done, and the answer is in no form that anybody knows."""
    POLL_BROKEN = auto()
    POLL_SILENT = auto()
    POLL_UNKNOWN = auto()
    """The vendor denies work that it has."""
    DOWNLOAD_BROKEN = auto()
    DOWNLOAD_GONE = auto()

    @property
    def step(self) -> str:
        """Which kind of call it spoils: submit, poll or download."""
        return "submit" if self in SUBMIT_FAULTS else self.name.partition("_")[0].lower()


SUBMIT_FAULTS = tuple(fault for fault in Fault if not fault.name.startswith(("POLL", "DOWNLOAD")))


@dataclass(frozen=True, slots=True)
class Riddle:
    """What a vendor says in a form that its adapter does not know."""

    inside: Finished


@cache
def picture(shade: int) -> bytes:
    """A small PNG of its own for every number."""
    out = io.BytesIO()
    Pillow.new("RGB", (4, 3), (shade * 3 % 256, shade // 85, 90)).save(out, "PNG")
    return out.getvalue()


@cache
def picture_id(shade: int) -> str:
    """What the service will call it."""
    return image_id_of(sha256(picture(shade)).hexdigest())


@dataclass(eq=False)
class Work:
    """One job that the vendor took, and charged. ``noted``: a callback of its success was taken."""

    number: int
    provider: str
    task_id: str
    attempt_key: str
    callback_url: str
    state: str = "RUNNING"
    percent: int = 0
    noted: bool = False
    answered: bool = False
    """Whether the answer to its paid call, with the picture, came whole: it must not be lost."""
    riddle: bool = False
    """Whether nobody can read that answer."""
    gone: bool = False
    """Whether its result was denied once: then it may be lost for good."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def vendor_task_id(self) -> str:
        return f"{self.provider}-{self.number}"

    @property
    def shade(self) -> int:
        return 100 + self.number

    @property
    def calls_back(self) -> bool:
        """Whether its vendor has somewhere to call."""
        return bool(self.callback_url) and self.provider != SYNCHRONOUS

    @property
    def is_in_its_answer(self) -> bool:
        """Whether the picture came with an answer that can be read, whole."""
        return self.answered and not self.riddle and self.number % 2 == 0

    @property
    def token(self) -> str:
        return self.callback_url.rpartition("/")[2]

    def end(self, state: str) -> None:
        """Finish the work, once."""
        if self.state == "RUNNING":
            self.state = state
            self.ended.set()


class HandDrivenVendor:
    """Stands behind every provider of the house, in the place of ``tests.engine.house.Vendor``."""

    def __init__(self) -> None:
        self.works: list[Work] = []
        self.charges: Counter[str] = Counter()
        """How often each attempt was charged, by attempt key."""
        self.calls: Counter[str] = Counter()
        """How often a paid call arrived, by task."""
        self.faults: dict[tuple[str, str], list[Fault]] = {}
        self.injected: Counter[Fault] = Counter()
        self.call_back: Callable[[Work], Any] | None = None
        self.paid: list[str] = []
        self.callback_urls: list[str] = []
        self.polled: list[str] = []

    def plan(self, provider: str, step: str, fault: Fault, times: int) -> None:
        """Let the next ``times`` calls of a step (submit, poll or download) meet ``fault``."""
        self.faults.setdefault((provider, step), []).extend([fault] * times)

    def lose_answers(self, attempts: Collection[str]) -> None:
        """The process died before it had written what was answered to these attempts."""
        for work in self.works:
            if work.attempt_key in attempts:
                work.answered = False

    def heal(self) -> None:
        """Plan nothing more."""
        self.faults.clear()

    def _fault(self, provider: str, step: str) -> Fault | None:
        planned = self.faults.get((provider, step))
        fault = planned.pop(0) if planned else None
        if fault:
            self.injected[fault] += 1
        return fault

    # What the adapters ask

    async def prepare(self, job: Job) -> Prepared:
        """Free and repeatable."""
        await _wire()
        return Prepared(payload=job)

    async def submit(self, job: Job, report: Report) -> Accepted | Finished:
        """The paid call."""
        provider = job.model.provider
        fault = self._fault(provider, "submit")
        await _wire()
        if fault is Fault.UNREACHABLE:
            raise outcomes.paid_call_error(NotSent("No connection could be made."))
        self.calls[_task_of(job)] += 1
        if self.calls[_task_of(job)] > PATIENCE:
            fault = Fault.SILENT
        _refuse(fault)
        work = self._take(job)
        if fault is Fault.CALLBACK_FIRST:
            work.end("SUCCEEDED")
            if self.call_back and job.callback_url:
                await self.call_back(work)
        await _wire()
        return await self._reply(work, fault)

    async def _reply(self, work: Work, fault: Fault | None) -> Accepted | Finished:
        if fault is Fault.SILENT:
            await asyncio.get_running_loop().create_future()
        if work.provider == SYNCHRONOUS:
            await work.ended.wait()
            await _wire()
        if fault is Fault.RESET:
            raise outcomes.paid_call_error(Broken("The connection broke."))
        if fault is Fault.BROKEN_AFTER or (work.provider == SYNCHRONOUS and work.state == "FAILED"):
            raise outcomes.refusal_of(502)
        if work.provider == SYNCHRONOUS:
            work.answered, work.riddle = True, fault is Fault.RIDDLE
            finished = Finished(outputs=(self._output(work, as_url=work.number % 2 == 1),))
            return cast(Finished, Riddle(finished)) if work.riddle else finished
        return Accepted(vendor_task_id=work.vendor_task_id)

    def _take(self, job: Job) -> Work:
        """Take work and charge it; a provider that takes our key knows the same work again."""
        provider = job.model.provider
        if provider in ("keyed", "free"):
            for work in self.works:
                if (work.provider, work.attempt_key) == (provider, job.attempt_key):
                    return work
        work = Work(len(self.works), provider, _task_of(job), job.attempt_key, job.callback_url)
        self.works.append(work)
        self.charges[job.attempt_key] += 1
        return work

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        """Say how work stands."""
        provider, _, number = vendor_task_id.rpartition("-")
        await _wire()
        fault = self._fault(provider, "poll")
        if fault is Fault.POLL_BROKEN:
            raise OSError("502")
        if fault is Fault.POLL_SILENT:
            await asyncio.get_running_loop().create_future()
        if fault is Fault.POLL_UNKNOWN or not number.isdigit() or int(number) >= len(self.works):
            raise VendorTaskUnknown
        work = self.works[int(number)]
        await _wire()
        if work.state == "SUCCEEDED":
            return Finished(outputs=(self._output(work, as_url=True),))
        if work.state == "FAILED":
            return Failure(reason=FailureReason.PROVIDER_FAILED, message="The provider failed.")
        return InProgress(progress_percent=work.percent)

    def _output(self, work: Work, *, as_url: bool) -> Output:
        if as_url:
            return Output(url=f"{RESULT_URL}{work.provider}/{work.number}?signature=secret")
        return Output(content=picture(work.shade))

    @asynccontextmanager
    async def open(self, url: str, *, max_bytes: int, limit_seconds: float) -> AsyncIterator["_Reply"]:
        """Stand in for the guarded fetch, which brings results home."""
        await _wire()
        provider, number = url.removeprefix(RESULT_URL).partition("?")[0].split("/")
        work = self.works[int(number)]
        fault = self._fault(provider, "download")
        if fault is Fault.DOWNLOAD_GONE:
            work.gone = True
            raise FetchFailed("answered 410", status=410)
        if fault is Fault.DOWNLOAD_BROKEN:
            raise FetchFailed("answered 503", status=503)
        yield _Reply(picture(work.shade))


def _task_of(job: Job) -> str:
    return job.attempt_key.rpartition("-")[0]


def _refuse(fault: Fault | None) -> None:
    match fault:
        case Fault.TOO_MANY:
            raise outcomes.refusal_of(429, retry_after=7.0)
        case Fault.TOO_MANY_UNTIL_WHENEVER:
            raise outcomes.refusal_of(429)
        case Fault.INVALID:
            raise outcomes.refusal_of(422)
        case Fault.BROKEN_BEFORE:
            raise outcomes.refusal_of(500)


@dataclass
class _Reply:
    data: bytes

    async def chunks(self) -> AsyncIterator[bytes]:
        half = len(self.data) // 2
        yield self.data[:half]
        await _wire()
        yield self.data[half:]


async def _wire() -> None:
    """A moment on the way, in which the world may end."""
    await asyncio.sleep(0)
