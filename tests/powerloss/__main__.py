"""The long form: ``python -m tests.powerloss [--rounds 4] [--images 8] [--seed 1]``.

Real processes from beginning to end: the installed server, recorded from outside by ``shim.c``, killed at
each failpoint or stopped, and started on each image; at times that start is recorded too, for the power may
fail a second time. Ends with an error when a promise was broken, or when a control build broke none.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.powerloss.disk import KEEPS, Disk
from tests.powerloss.journal import counted, read
from tests.powerloss.launch import Command, How, as_process, by_itself, preloaded
from tests.powerloss.recorder import is_recordable
from tests.powerloss.recording import Failure, Recording, record
from tests.powerloss.server import CONTROLS, FAILPOINTS
from tests.powerloss.verdict import Verdict, judge
from tests.powerloss.workload import Charged, Vendor

WHOLE = "whole"
BUILDS = (WHOLE, *CONTROLS)
EDITS = 12
EDITS_A_ROUND = 60  # enough for SQLite to move its log into the database and begin it anew
AT_ONCE = 8
AT_A_TIME = 2
PASSAGES = range(1, 6)
SECOND_FAILURES = 4
SHOWN = 3
OTHER_KINDS = (
    "refused",
    "damaged",
    "double_charged",
    "second_tasks",
    "changed_stories",
    "badly_ended",
    "stuck",
)


@dataclass
class Tally:
    """What became of all images of one build."""

    images: int = 0
    tasks: int = 0
    lost_tasks: int = 0
    pictures: int = 0
    lost_pictures: int = 0
    others: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one image."""
        self.images += 1
        self.tasks += len(verdict.promised.created)
        self.lost_tasks += len(verdict.lost_tasks)
        self.pictures += len(verdict.promised.images())
        self.lost_pictures += len(verdict.lost_images)
        self.others.update({kind: len(verdict.wrong().get(kind, ())) for kind in OTHER_KINDS})

    def is_clean(self) -> bool:
        """Say whether nothing was wrong anywhere."""
        return not (self.lost_tasks or self.lost_pictures or self.others.total())

    def figures(self) -> dict[str, str]:
        """Return what the table shows."""
        return {
            "images": str(self.images),
            "acked tasks": str(self.tasks),
            "lost tasks": _share(self.lost_tasks, self.tasks),
            "acked images": str(self.pictures),
            "lost images": _share(self.lost_pictures, self.pictures),
            **{kind.replace("_", " "): str(self.others[kind]) for kind in OTHER_KINDS},
        }


@dataclass(frozen=True)
class Storm:
    """Records servers and lets the power fail under them; each part has a vendor and dice of its own."""

    folder: Path
    how: How
    seed: int
    images: int
    tallies: dict[str, Tally] = field(default_factory=lambda: {build: Tally() for build in BUILDS})

    async def run(self, rounds: int) -> None:
        """Do everything."""
        places = asyncio.Semaphore(AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            for failpoint in FAILPOINTS:
                group.create_task(self._part(places, failpoint, Part.killed_at, failpoint))
            for number in range(rounds):
                group.create_task(self._part(places, f"round {number}", Part.stopped))
            for control in CONTROLS:
                group.create_task(self._part(places, control, Part.control, control))
            if is_recordable():
                group.create_task(self._part(places, "both recorders", Part.recorded_twice))

    def is_good(self) -> bool:
        """Say whether the whole build kept every promise, and each control build broke some."""
        return all(tally.is_clean() == (build == WHOLE) for build, tally in self.tallies.items())

    def table(self) -> Table:
        """Return the figures."""
        table = Table("", *self.tallies)
        for name in Tally().figures():
            table.add_row(name, *(tally.figures()[name] for tally in self.tallies.values()))
        return table

    async def _part(
        self, places: asyncio.Semaphore, name: str, play: Callable[..., Awaitable[None]], *what: str
    ) -> None:
        async with places, Vendor() as vendor:
            print(name, flush=True)
            part = Part(self, self.folder / name, vendor, random.Random(f"{self.seed} {name}"))
            await play(part, *what)


@dataclass(frozen=True)
class Part:
    """One recording and what the power does to it."""

    storm: Storm
    folder: Path
    vendor: Vendor
    dice: random.Random

    async def killed_at(self, failpoint: str) -> None:
        """Kill the server in the midst of work; the power fails at that instant (F16)."""
        armed = f"{failpoint}:kill:{self.dice.choice(PASSAGES)}"
        recording = await self._record(EDITS, failpoint=armed)
        end = len(recording.records)
        await self._judge(WHOLE, recording, [Failure(end, keep, failpoint) for keep in KEEPS])

    async def stopped(self) -> None:
        """Let the power fail at any instant, and once more while a server starts on what is left."""
        recording = await self._record(EDITS_A_ROUND)
        if not recording.is_complete():
            raise AssertionError("the journal does not explain what is on the disk")
        await self._judge(WHOLE, recording, recording.failures(self.storm.images, self.dice))
        again = await self._recovery(recording, self.folder / "again")
        await self._judge(WHOLE, again, again.failures(SECOND_FAILURES, self.dice))

    async def control(self, control: str) -> None:
        """Let the power fail under a build that lacks something."""
        recording = await self._record(EDITS, control=control)
        await self._judge(control, recording, recording.failures(self.storm.images, self.dice))

    async def recorded_twice(self) -> None:
        """Record a server in both ways: without the shim, as in the test suite, as much is seen."""
        other = self.folder / "other-journal"

        def twice(disk: Path, journal: Path, control: str) -> Command:
            preloading = self.storm.how(disk, other, control).environment
            return by_itself(disk, journal, control).with_environment(preloading)

        recording = await record(self.folder, self.vendor, twice, edits=EDITS, at_once=AT_ONCE)
        inside, outside = counted(recording.records), counted(read(other))
        if inside != outside:
            raise AssertionError(f"the two recorders do not agree: {inside - outside} {outside - inside}")

    async def _recovery(self, recording: Recording, folder: Path) -> Recording:
        """Record a server that starts on what a failure left."""
        (failure,) = recording.failures(1, self.dice)
        ((_, disk),) = recording.images([failure], folder, self.dice)
        before, journal = Disk.of(disk), folder / "journal"
        promises = recording.promised_by(failure).from_the_start()

        def charged(prompt: str) -> None:
            promises.charged.append(Charged(journal.stat().st_size, prompt))

        start = partial(as_process, command=self.storm.how(disk, journal, ""))
        with self.vendor.telling(charged):
            self._count(WHOLE, failure, await judge(disk, promises, self.vendor, start))
        return Recording(disk, before, journal, promises)

    async def _record(self, edits: int, *, control: str = "", failpoint: str = "") -> Recording:
        return await record(
            self.folder,
            self.vendor,
            self.storm.how,
            edits=edits,
            at_once=AT_ONCE,
            control=control,
            failpoint=failpoint,
        )

    async def _judge(self, build: str, recording: Recording, failures: Iterable[Failure]) -> None:
        folder = recording.journal.parent / "images"
        for failure, disk in recording.images(failures, folder, self.dice):
            promised = recording.promised_by(failure)
            self._count(build, failure, await judge(disk, promised, self.vendor, as_process))

    def _count(self, build: str, failure: Failure, verdict: Verdict) -> None:
        self.storm.tallies[build].add(verdict)
        if build == WHOLE and verdict.wrong():
            wrong = {kind: sorted(found)[:SHOWN] for kind, found in verdict.wrong().items()}
            print(f"BROKEN in {self.folder.name}: {failure} {wrong}", flush=True)


def _share(lost: int, promised: int) -> str:
    return f"{lost} ({lost / promised:.0%})" if lost else "0"


def main() -> int:
    """Run it, print the figures and return the exit code."""
    parser = argparse.ArgumentParser(description="Power failures under real servers.")
    parser.add_argument("--rounds", type=int, default=4, help="recordings without a kill")
    parser.add_argument("--images", type=int, default=8, help="power failures in each of them")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="imageedit-powerloss-")).resolve()
    how = preloaded(folder)
    if how is None:
        print("power loss: SKIPPED, there is no C compiler (cc, gcc or clang) to build its recorder with")
        return 0
    print(f"power loss, seed {given.seed}, in {folder}")
    storm = Storm(folder, how, given.seed, given.images)
    asyncio.run(storm.run(given.rounds))
    Console().print(storm.table())
    if not storm.is_good():
        print(f"what the power failures left is in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
