"""Uploads and downloads under a fault: what was acknowledged is there, byte for byte, and stays so."""

import asyncio
from collections import Counter

from imageedit_client import ImageEditError
from tests.faults.control import Seen
from tests.faults.edits import AGAIN_SECONDS
from tests.faults.place import Operations, Place
from tests.faults.verdicts import GONE, KEPT

DOWNLOADED_SIDE = 512
"""Noise, so that it is three quarters of a MiB: a download of several pieces."""


class _Told:
    """What the caller was told, error by error."""

    def __init__(self) -> None:
        self._errors = Counter[str]()

    def add(self, error: ImageEditError) -> None:
        self._errors[error.reason or type(error).__name__] += 1

    def story(self) -> str:
        return ", ".join(f"{reason} {count}" for reason, count in self._errors.items()) or "no error"


class Upload:
    """A picture is uploaded until it is acknowledged."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self.control = place.control
        self._name = name
        self._told = _Told()

    async def begin(self) -> None:
        """There is nothing before it."""

    async def go(self) -> bool:
        return await self._place.gets_through(self._upload())

    async def _upload(self) -> None:
        while True:
            try:
                self._image_id = await self._place.upload(self._name, self.side)
                return
            except ImageEditError as error:
                self._told.add(error)
                await asyncio.sleep(AGAIN_SECONDS)

    side = 32

    async def judged(self, _seen: Seen) -> tuple[str, str]:
        return await self._place.verdict_of(self._image_id), self._told.story()


class LargeUpload(Upload):
    """One that is written to the disk while it comes."""

    side = 320


class Download:
    """A picture that was acknowledged long ago is downloaded."""

    def __init__(self, place: Place, _name: str) -> None:
        self._place = place
        self.control = place.control
        self._told = _Told()

    async def begin(self) -> None:
        self._image_id = await self._place.once("downloaded", DOWNLOADED_SIDE)

    async def go(self) -> bool:
        return await self._place.gets_through(self._download())

    async def _download(self) -> None:
        async with self._place.client() as client:
            while True:
                try:
                    self._content = await client.download(self._image_id)
                    return
                except ImageEditError as error:
                    self._told.add(error)
                    await asyncio.sleep(AGAIN_SECONDS)

    async def judged(self, _seen: Seen) -> tuple[str, str]:
        right = self._content == self._place.uploaded[self._image_id]
        return KEPT if right else GONE, self._told.story()


TRANSFERS: Operations = {"upload": Upload, "large upload": LargeUpload, "download": Download}
