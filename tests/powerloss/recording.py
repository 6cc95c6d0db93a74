"""A server that served clients while everything it wrote was recorded, and the power failures it may meet."""

import asyncio
import copy
import random
import signal
from bisect import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import cycle
from pathlib import Path

from tests.powerloss import journal as journals
from tests.powerloss.disk import KEEPS, Disk, files_of
from tests.powerloss.journal import Op
from tests.powerloss.launch import How, in_this_process, process
from tests.powerloss.workload import Promises, Vendor, Workload
from tests.servers.processes import Server

TURNING_POINTS = (Op.SYNC, Op.RENAME, Op.REMOVE)


@dataclass(frozen=True, slots=True)
class Failure:
    """The power fails after so many ``records``, and ``keep`` of what was not synced survives."""

    records: int
    keep: float
    point: str = ""


@dataclass(frozen=True)
class Recording:
    """What a server wrote to ``disk``, from when it was as ``before``, and what was promised meanwhile."""

    disk: Path
    before: Disk
    journal: Path
    promises: Promises

    @cached_property
    def records(self) -> list[journals.Record]:
        """Everything that was done, in order."""
        return list(journals.read(self.journal))

    def is_complete(self) -> bool:
        """Say whether the journal explains every byte that is on the disk now."""
        disk = copy.deepcopy(self.before)
        disk.replay(self.records)
        return disk.now() == files_of(self.disk)

    def points(self) -> Mapping[str, list[int]]:
        """Return after how many records each failpoint was passed."""
        found: dict[str, list[int]] = {}
        for records, record in enumerate(self.records, 1):
            if record.op is Op.MARK:
                found.setdefault(record.path, []).append(records)
        return found

    def promised_by(self, failure: Failure) -> Promises:
        """Return what was promised when the power failed."""
        return self.promises.by(self.records[failure.records - 1].end if failure.records else 0)

    def last_promise(self) -> int:
        """Return how many records there were when a client heard something for the last time."""
        return self._records_by(self.promises.heard()[-1].position)

    def failures(self, count: int, dice: random.Random) -> list[Failure]:
        """Choose instants: one in two when a client had just heard something, one in four at a sync."""
        heard = [self._records_by(each.position) for each in self.promises.heard()]
        anywhere = range(heard[0], len(self.records) + 1)
        turning = [number for number in anywhere if self.records[number - 1].op in TURNING_POINTS]
        places = cycle((heard, anywhere, heard, turning))
        chosen = zip(places, _keeps(dice), range(count), strict=False)
        return [Failure(dice.choice(place), keep) for place, keep, _ in chosen]

    def failures_at_points(self, dice: random.Random) -> list[Failure]:
        """Choose one passage of each failpoint (F16)."""
        points = zip(sorted(self.points().items()), _keeps(dice), strict=False)
        return [Failure(dice.choice(passages), keep, name) for (name, passages), keep in points]

    def _records_by(self, position: int) -> int:
        return bisect(self.records, position, key=lambda record: record.end)

    def images(
        self, failures: Iterable[Failure], folder: Path, dice: random.Random
    ) -> Iterator[tuple[Failure, Path]]:
        """Write what each failure leaves on a disk of its own below ``folder``; yield it with the disk."""
        disk, done = copy.deepcopy(self.before), 0
        for number, failure in enumerate(sorted(failures, key=lambda failure: failure.records)):
            disk.replay(self.records[done : failure.records])
            done = failure.records
            image = folder / f"image-{number}" / "disk"
            image.parent.mkdir(parents=True)
            disk.fail(image, failure.keep, dice)
            yield failure, image


def _keeps(dice: random.Random) -> Iterator[float]:
    """Yield every share as often as the others, in a random order."""
    while True:
        yield from dice.sample(KEEPS, len(KEEPS))


async def record(
    folder: Path,
    vendor: Vendor,
    how: How,
    *,
    edits: int,
    at_once: int = 2,
    control: str = "",
    failpoint: str = "",
) -> Recording:
    """Serve so many edits on a new disk and stop, or be killed at ``failpoint`` (``name:kill:3``) before.

    A control build starts where a whole one was before: what it lacks is lacking in its daily work alone.
    """
    disk, journal = folder / "disk", folder / "journal"
    disk.mkdir(parents=True)
    if control:
        async with in_this_process(disk, vendor):
            pass
    before = Disk.of(disk)
    workload = Workload(journal, vendor, folder.name)
    command = how(disk, journal, control)
    if failpoint:
        command = command.with_environment({"IMAGEEDIT_FAILPOINT": failpoint})
    async with process(disk, vendor, command) as server:
        working = asyncio.create_task(workload.run(server.grpc, edits, at_once))
        await _until_either(working, server)
        if server.process.returncode is None:
            server.send(signal.SIGTERM)
        assert await server.ended() == -signal.SIGKILL or not failpoint
    return Recording(disk, before, journal, workload.promises)


async def _until_either(working: asyncio.Task[None], server: Server) -> None:
    """Wait until the work is done or the server is dead, whose clients would wait for another one."""
    died = asyncio.create_task(server.process.wait())
    await asyncio.wait([working, died], return_when=asyncio.FIRST_COMPLETED)
    finished = working.done()
    died.cancel()
    working.cancel()
    await asyncio.wait([working, died])
    if finished:
        await working
