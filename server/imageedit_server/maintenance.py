"""What operators do beside serving: check everything, and back the data up."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from imageedit_server.bootstrap import open_catalog
from imageedit_server.images.archive import copy_images, missing
from imageedit_server.images.blobs import IMAGES_FOLDER
from imageedit_server.providers.base import AccountRefused
from imageedit_server.settings import Settings
from imageedit_server.store.archive import copy_database, faults_of, images_of
from imageedit_server.store.sqlite_file import DATABASE_NAME, LOCK_NAME, StoreRefused

SHOWN = 10
"""Of many faults of one kind, this many are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``subject`` is what, ``sentence`` how it is."""

    subject: str
    sentence: str
    ok: bool = True


async def check(settings: Settings) -> AsyncIterator[Finding]:
    """Look at the data and at every provider's account. The settings themselves were checked before."""
    for finding in check_data(settings.server.data_dir):
        yield finding
    async with AsyncExitStack() as stack:
        for name, provider in open_catalog(settings, stack).providers.items():
            try:
                yield Finding(f"provider {name}", await provider.adapter.check_account())
            except AccountRefused as refused:
                yield Finding(f"provider {name}", str(refused), ok=False)


def check_data(folder: Path) -> Iterator[Finding]:
    """Look at the database and the images in a data folder."""
    if not (folder / DATABASE_NAME).exists():
        yield Finding("data", f"There is none in {folder} yet.")
        return
    try:
        faults, images = faults_of(folder), images_of(folder)
    except StoreRefused as refused:
        yield Finding("database", str(refused), ok=False)
        return
    yield from _found("database", faults, "It is sound.")
    lost = [
        f"The bytes of {image_id} are gone or cut short."
        for image_id in missing(folder / IMAGES_FOLDER, images)
    ]
    yield from _found("images", lost, f"All {len(images)} are there.")


def _found(subject: str, faults: list[str], else_: str) -> Iterator[Finding]:
    for fault in faults[:SHOWN]:
        yield Finding(subject, fault, ok=False)
    if len(faults) > SHOWN:
        yield Finding(subject, f"There are {len(faults) - SHOWN} more like it.", ok=False)
    if not faults:
        yield Finding(subject, else_)


def backup(folder: Path, target: Path) -> Iterator[Finding]:
    """Copy a data folder that a server may be writing; what ``target`` has from before is not copied again.

    Images first: those that are forgotten while the copy is made would else be missing. Then the database as
    of one moment, then the images that came meanwhile. Raises ``StoreRefused`` for a target that was ever
    served from: a server would lose its database, or what the copy had become by being served.
    """
    if (target / LOCK_NAME).exists():
        raise StoreRefused(f"{target} is the data dir of a server; choose another folder for the copy")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    copied = copy_images(folder / IMAGES_FOLDER, target / IMAGES_FOLDER, images_of(folder))
    copy_database(folder, target / DATABASE_NAME)
    copied += copy_images(folder / IMAGES_FOLDER, target / IMAGES_FOLDER, images_of(target))
    yield Finding("copied", f"The database and {copied} images.")
    yield from check_data(target)
