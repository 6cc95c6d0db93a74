"""An operator's backup under a fault: the copy is whole, or it says that it is not and the next one is."""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from imageedit_server.images.archive import ImageFiles
from imageedit_server.store.database import StoreRefused
from imageedit_server.store.sqlite.archive import SqliteArchive
from imageedit_server.store.sqlite.file import DATABASE_NAME
from tests.faults.control import Call, Seen
from tests.faults.place import Operations, Place
from tests.faults.verdicts import KEPT, REFUSED, SILENT, SPOILT

EXIT_UNSOUND, EXIT_REFUSED = 1, 2
"""It says, on stdout, what is wrong with the copy; or, on stderr, why there is none."""


class Backup:
    """A copy is made of what a killed server left. Only the calls of the process that copies fail.

    Each is of the same data: a call has the same number in all, and none costs more than the first.
    """

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._target = place.folder / name
        self.control = place.beside

    async def begin(self) -> None:
        self._source = await self._place.set_aside()

    async def go(self) -> bool:
        self._code, self._said = await self._copy()
        return True

    async def _copy(self) -> tuple[int, str]:
        log = self._place.folder / f"{self._name}.log"
        process = await self._place.servers.start(
            [
                *("backup", str(self._target)),
                *("--config", str(self._place.config), "--data-dir", str(self._source.folder)),
            ],
            log,
            bug=self._place.bug_of(self.control),
        )
        return await process.died(), log.read_text(encoding="utf-8")

    async def judged(self, seen: Seen) -> tuple[str, str]:
        code, said = self._code, self._said
        if code:
            again, _ = await self._copy()
        wrong = "; ".join(_wrong_with(self._target, self._source.uploaded))
        shutil.rmtree(self._target, ignore_errors=True)
        story = f"ended with {code}{wrong and f', {wrong}'}"
        if wrong or (code and again):
            return SPOILT, story
        if "Traceback" in said or (code == EXIT_REFUSED and not said):
            return SILENT, f"{story}, {said[-300:]!r}"
        if not code and _may_be_unwritten(seen):
            return SILENT, f"{story}, though an fsync of the copy failed"
        return REFUSED if code else KEPT, story


def _may_be_unwritten(seen: Seen) -> bool:
    """Whether what failed was the fsync of a file that the copy consists of."""
    return seen.call is Call.FSYNC and any(about.endswith(f"{DATABASE_NAME}.half") for about in seen.about)


def _wrong_with(copy: Path, uploaded: Collection[str]) -> Iterator[str]:
    try:
        archive = SqliteArchive(copy)
        images = archive.images()
        yield from archive.faults()
    except StoreRefused as refused:
        yield str(refused)
        return
    yield from (f"{image_id} is not in it" for image_id in uploaded if image_id not in images)
    yield from (f"{image_id} has no bytes" for image_id in ImageFiles(copy).missing(images))


COPIES: Operations = {"backup": Backup}
