"""A server's start and drain and a vendor's callback under a fault: what was paid for comes home still."""

import asyncio
import signal

from tests.chaos.words import stage_of
from tests.faults.control import Seen
from tests.faults.edits import Edit
from tests.faults.place import DRAIN_SECONDS, Operations, Place
from tests.faults.verdicts import STUCK
from tests.vendors import serving
from tests.vendors.behaviours import on_the_wire
from tests.vendors.kie.server import Endpoint

WORK_SECONDS = 0.1
STOP_SECONDS = DRAIN_SECONDS + 5.0
"""P24."""
LOOK_SECONDS = 0.01


class Start(Edit):
    """A server is started where one was killed: it had a vendor's answer, and had done nothing about it."""

    async def begin(self) -> None:
        await super().begin()
        await self.place.stop()
        await self.place.start(failpoint="answer_durable")
        assert await self.place.serves()
        assert not await super().go(), "it was to kill itself"

    async def go(self) -> bool:
        if not self.place.life.pid:
            await self.place.start()
            if not await self.place.serves():
                return False
        return await super().go()


class Drain(Edit):
    """A server is asked to stop while a vendor works on a paid call, and another one is started."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__(place, name)
        self._ended = ""

    async def begin(self) -> None:
        await super().begin()
        self.place.relay.work_seconds = WORK_SECONDS
        async with self.place.client() as client:
            await self.create(client)
        while not self.paid.payments(self.name):  # noqa: ASYNC110  nobody else knows
            await asyncio.sleep(LOOK_SECONDS)
        self.place.relay.work_seconds = 0

    async def go(self) -> bool:
        if not self._ended:
            await self._stop()
            self.control.disarm()
            await self.place.start_to_serve()
        return await super().go()

    async def _stop(self) -> None:
        await self.place.life.send(signal.SIGTERM)
        try:
            self._ended = f"ended with {await self.place.life.died(STOP_SECONDS)}"
        except TimeoutError:
            self._ended = STUCK
            await self.place.stop()

    async def judged(self, seen: Seen) -> tuple[str, str]:
        verdict, story = await super().judged(seen)
        return STUCK if self._ended == STUCK else verdict, f"{self._ended}, {story}"


class Callback(Edit):
    """The answer to a paid call was lost, and its vendor calls back until it is heard: the one way home."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__(place, name)
        self.paid = place.kie

    async def begin(self) -> None:
        await super().begin()
        kie = self.place.kie
        kie.may_call_back.clear()
        kie.misbehave(Endpoint.CREATE, on_the_wire("hangs up", serving.hang_up))
        async with self.place.client() as client:
            task = await self.create(client)
            while stage_of(task) != "SUBMIT_UNKNOWN":
                await asyncio.sleep(LOOK_SECONDS)
                task = await client.get(task.task_id)

    async def go(self) -> bool:
        self.place.kie.may_call_back.set()
        return await super().go()


LIVES: Operations = {"callback": Callback, "start": Start, "drain": Drain}
