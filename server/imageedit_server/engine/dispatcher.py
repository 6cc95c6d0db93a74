"""Hands tasks to runs: claims what can be worked on, renews leases, stops what was ended by others."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from imageedit_server.core.change import Change
from imageedit_server.core.errors import Refusal
from imageedit_server.core.task import Stage, State
from imageedit_server.engine.adopt import NO_PROVIDER, adopt
from imageedit_server.engine.breaker import Breaker
from imageedit_server.engine.gates import Gate
from imageedit_server.engine.late_results import LateResults
from imageedit_server.engine.left_out import LeftOut
from imageedit_server.engine.rereading import read_kept_again, read_task_again
from imageedit_server.engine.restoring import RestoredCopy, settle
from imageedit_server.engine.run import Run
from imageedit_server.engine.tools import Tools
from imageedit_server.engine.unread import match
from imageedit_server.providers.catalog import Catalog
from imageedit_server.runtime.clock import seconds_until
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.workers import on_behalf_of
from imageedit_server.store.attempts import called_late
from imageedit_server.store.claims import Claimed, Lease, claim, open_providers, renew
from imageedit_server.store.decisions import release
from imageedit_server.telemetry.metrics import BREAKER_OPEN

SWEEP_SECONDS = 5.0
"""Longest time between two looks at the store, whatever the hints say (P7)."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _ActiveRun:
    provider: str
    lease: Lease
    work: asyncio.Task[None]
    run: Run | None
    probed: tuple[Breaker, ...]
    left_a_result: bool = False
    """Whether the task ended with something to collect, which waits until the run has let go of it."""


class Dispatcher:
    """Keeps up to ``concurrency`` tasks moving. Start it with ``serve``, end it with ``drain``."""

    def __init__(
        self,
        tools: Tools,
        catalog: Catalog,
        *,
        concurrency: int = 64,
        lease_seconds: float = 30,
        restored: RestoredCopy | None = None,
    ) -> None:
        self._tools = tools
        self._catalog = catalog
        self._concurrency = concurrency
        self._restored = restored
        self._lease = timedelta(seconds=lease_seconds)
        self._monotonic = asyncio.get_running_loop().time
        self._gates = {
            name: Gate(provider.options, tools.clock, self._monotonic)
            for name, provider in catalog.providers.items()
        }
        self._gone: set[str] = set()
        self._active: dict[str, _ActiveRun] = {}
        self.late = LateResults(catalog, tools)
        self.left_out = LeftOut(tools, catalog)
        self._wake = asyncio.Event()
        self._turn = ""
        self._next_look = tools.clock.now()
        self._renew_time = tools.clock.now() + self._lease / 2
        self._renewed = self._monotonic()
        for name, gate in self._gates.items():
            BREAKER_OPEN.labels(name).set_function(partial(_is_open, gate))
        tools.feed.expect(self._can_start)
        tools.feed.listen(self._on_changes)

    @property
    def under_way(self) -> Mapping[str, asyncio.Task[None]]:
        """The work on each task that this server has claimed, by the task's id."""
        return {task_id: running.work for task_id, running in self._active.items()}

    async def serve(self) -> None:
        """Recover what a dead owner left (P7), then work until cancelled."""
        await self._recover()
        kept = await self.left_out.wait_for(lambda: match(self._tools, self._catalog))
        if self._restored is not None:
            await settle(self._restored, self._tools, self._catalog)
        self._gone = await self._tools.database.read(open_providers) - {NO_PROVIDER, *self._gates}
        for task_id in await self._tools.database.read(called_late):
            self.late.collect(task_id)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_for_ever())
            group.create_task(self._renew_for_ever())
            group.create_task(read_kept_again(kept, self._tools, self._catalog))
            group.create_task(self.left_out.read_on())

    async def read_again(self, task_id: str) -> int:
        """Read the kept answers of a task at an operator's word; return how many were recovered."""
        return await read_task_again(task_id, self._tools, self._catalog)

    def trouble(self) -> str:
        """Say that leases were not renewed for as long as they last, when that is so (PROMISES §7)."""
        silent = self._monotonic() - self._renewed
        return f"leases were not renewed for {silent:.0f} s" if silent > self._lease.total_seconds() else ""

    async def drain(self, seconds: float) -> None:
        """Claim nothing more, wait for paid calls at most ``seconds``, let go of everything else."""
        self._tools.draining.begin()
        leases = [running.lease for running in self._active.values()]
        for running in self._active.values():
            if running.run is not None:
                running.run.leave()
        paying = {running.work for running in self._active.values() if self._stop_unless_paying(running)}
        if paying:
            await asyncio.wait(paying, timeout=seconds)
        await self.stop()
        await self._let_go(leases)

    async def stop(self) -> None:
        """Let go of everything at once; the next start goes on."""
        rest = [running.work for running in self._active.values()]
        for work in rest:
            work.cancel()
        await asyncio.gather(*rest, self.late.stop(), return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            try:
                await self._tools.database.recover()
                return
            except Refusal as refusal:  # a full disk passes (F19)
                _log.warning("tasks of the last run cannot be taken over yet: %s", refusal)
            await self._tools.clock.sleep(SWEEP_SECONDS)

    async def _let_go(self, leases: Iterable[Lease]) -> None:
        with suppress(Refusal):  # on a full disk they run out by themselves
            for lease in leases:
                await self._tools.database.record(release, lease)

    # Claiming

    async def _claim_for_ever(self) -> None:
        while not self._tools.draining.begun:
            self._wake.clear()
            try:
                pause = await self._claim()
            except Refusal as refusal:  # a full disk passes (F19)
                _log.warning("nothing can be claimed: %s", refusal)
                pause = SWEEP_SECONDS
            await self._pause(pause)

    async def _claim(self) -> float:
        """Claim what there is room for; return the seconds until it may be worth looking again."""
        room = max(self._concurrency - len(self._active), 0)  # without any, what is overdue still ends
        now = self._tools.clock.now()
        if now >= self._renew_time:  # first, so that what was paused does not take over from itself (F34)
            await self._renew()
        busy = Counter(running.provider for running in self._active.values())
        free = {name: gate.places(busy[name]) for name, gate in self._gates.items()}
        claims = await self._tools.database.record(
            claim,
            now=now,
            lease_until=now + self._lease,
            free_by_provider={**free, **dict.fromkeys((NO_PROVIDER, *self._gone), room)},
            submits_by_provider={name: gate.submits(busy[name]) for name, gate in self._gates.items()},
            held_back={name: gate.held_back() for name, gate in self._gates.items()},
            most=room,
            turn=self._turn,
            result_grace=self._tools.result_grace,
        )
        self._turn = claims.turn
        if self._tools.draining.begun:
            await self._let_go(claimed.lease for claimed in claims.claimed)
            return SWEEP_SECONDS
        for claimed in claims.claimed:
            failpoint("claim_before_intent")
            self._start(claimed)
        due = (
            SWEEP_SECONDS
            if claims.next_due is None
            else seconds_until(claims.next_due, self._tools.clock.now())
        )
        return min(due, SWEEP_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait for a hint, but not longer than ``seconds``: the store is the truth, the hint is not."""
        self._next_look = self._tools.clock.now() + timedelta(seconds=seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _renew_for_ever(self) -> None:
        while True:
            await self._tools.clock.sleep(self._lease.total_seconds() / 3)
            try:
                await self._renew()
            except Refusal as refusal:
                _log.warning("leases cannot be renewed: %s", refusal)

    async def _renew(self) -> None:
        leases = [running.lease for running in self._active.values()]
        now = self._tools.clock.now()
        await self._tools.database.record(renew, leases, now + self._lease)
        self._renew_time = now + self._lease / 2
        self._renewed = self._monotonic()

    # Running

    def _start(self, claimed: Claimed) -> None:
        request = claimed.task.request
        offer, gate = self._catalog.find(request.model), self._gates.get(request.provider)
        served = offer and gate and offer.provider.name == request.provider  # another knows nothing of it
        run = Run(claimed, offer, gate, self._tools, self.late) if offer and gate and served else None
        is_new = claimed.task.status.stage is Stage.PREPARING  # what is only polled is no probe
        probed = gate.breakers.begin(claimed.task.tenant) if gate and is_new else ()
        go_on = run.carry_on if run else partial(adopt, claimed, self._tools)
        holding = self._hold(go_on, run, claimed.task.tenant)
        work = asyncio.create_task(holding, name=f"run {claimed.task.task_id}")
        running = _ActiveRun(request.provider, claimed.lease, work, run, probed)
        self._active[claimed.task.task_id] = running
        work.add_done_callback(partial(self._finished, running))

    async def _hold(self, go_on: Callable[[], Awaitable[None]], run: Run | None, tenant: str) -> None:
        """Let nobody erase the bytes that a run stores before their row is there; then those without one.

        Such are the inputs that it fetched: the next run fetches them again.
        """
        with on_behalf_of(tenant), self._tools.results.holding() as held:
            await go_on()
        if left := set(held.image_ids) - (run.image_ids if run else set()):
            await self._tools.erase_bytes(left)

    def _finished(self, running: _ActiveRun, work: asyncio.Task[None]) -> None:
        task_id = running.lease.task_id
        if self._active.get(task_id) is running:  # one that was let go of may have been claimed anew already
            del self._active[task_id]
        for breaker in running.probed:
            breaker.leave()
        if running.left_a_result or self.late.holds(task_id):
            self.late.collect(task_id)
        self._wake.set()
        if not work.cancelled() and (error := work.exception()):
            _log.error(
                "work on a task broke off; its lease will run out", exc_info=error, extra={"task_id": task_id}
            )

    def _can_start(self, coming: Sequence[Change]) -> bool:
        """Look for what is about to be queued while it can still be claimed in the same commit."""
        if any(change.state is State.QUEUED and self._matters_now(change) for change in coming):
            self._wake.set()
            return True
        return False

    def _on_changes(self, changes: Sequence[Change]) -> None:
        """Look again when there may be something to claim; tell runs what happened to their tasks."""
        newest = {changed.task_id: changed for changed in changes}
        for changed in changes:
            running = self._active.get(changed.task_id)
            if changed.state.terminal:
                self._on_end(changed, running)
            elif changed.called_back and running and running.run:
                running.run.called_back()
            elif changed.called_back:
                self._wake.set()
            elif changed.state is State.QUEUED and newest[changed.task_id] is changed:
                self._look_soon_for(changed)

    def _on_end(self, ended: Change, running: _ActiveRun | None) -> None:
        """Collect what a task leaves at its vendor, and stop what still works on one that was cancelled."""
        if ended.called_back or (ended.event and ended.event.task.status.leaves_a_result()):
            if running is None or ended.called_back:
                self.late.collect(ended.task_id)
            else:
                running.left_a_result = True
        if ended.state is State.CANCELLED and running and not ended.called_back:
            self._stop_unless_paying(running)

    def _look_soon_for(self, queued: Change) -> None:
        if self._matters_now(queued):
            self._wake.set()

    def _matters_now(self, queued: Change) -> bool:
        """Whether a task that was queued can start, or may be overdue before the next look at the store."""
        if queued.event is None or queued.event.task.deadline <= self._next_look:
            return True
        gate = self._gates.get(queued.event.task.request.provider)
        if gate is None:  # nobody's: it is adopted or failed
            return True
        busy = sum(
            running.provider == queued.event.task.request.provider for running in self._active.values()
        )
        return len(self._active) < self._concurrency and gate.places(busy) > 0

    def _stop_unless_paying(self, running: _ActiveRun) -> bool:
        """Stop a run, but let a paid call end so that its outcome is recorded; say whether it goes on."""
        if running.run is not None and running.run.paying:
            return True
        running.work.cancel()
        return False


def _is_open(gate: Gate) -> float:
    return float(gate.breakers.is_open)
