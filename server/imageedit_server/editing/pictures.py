"""What callers do with pictures: upload and download. Each within its tenant."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack

from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal, image_not_found, invalid
from imageedit_server.core.image import IMAGE_ID, MALFORMED_ID, Image
from imageedit_server.editing.room import Room
from imageedit_server.images.library import ImageLibrary
from imageedit_server.runtime.clock import Clock
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.runtime.workers import on_behalf_of
from imageedit_server.store.creation import add_images
from imageedit_server.store.database import Database
from imageedit_server.store.queries import get_image
from imageedit_server.store.quotas import NO_QUOTA, Quota, check_images

MAX_KNOWN = 10_000
"""How many images' facts are kept in memory, about half a kilobyte each."""


class Pictures:
    """Stores and hands out pictures."""

    def __init__(
        self,
        database: Database,
        library: ImageLibrary,
        clock: Clock,
        *,
        draining: Draining,
        quota: Quota = NO_QUOTA,
    ) -> None:
        self._draining = draining
        self._database = database
        self._library = library
        self._clock = clock
        self._quota = quota
        self.room = Room(database, quota)
        self._known: dict[tuple[str, str], Image] = {}

    async def upload(self, tenant: str, chunks: AsyncIterator[bytes], *, expected_sha256: str) -> Image:
        """Store a picture: its bytes are durable before the row that gives the tenant the right to it.

        Raises IMAGE_UNDECODABLE, IMAGE_TOO_LARGE, INVALID_FIELD, QUOTA_EXCEEDED, STORAGE_FULL, DRAINING; then
        nothing is kept.
        """
        self._draining.refuse()
        async with AsyncExitStack() as storing:
            storing.enter_context(on_behalf_of(tenant))
            storing.enter_context(self._library.holding())
            staging = self._library.stage(chunks, field="chunk", expected_sha256=expected_sha256)
            async with staging as pending:
                if self._quota.stored_bytes:  # before there is a file that nobody may have
                    room = self.room.granted(tenant, [pending.image], check_images)
                    await storing.enter_async_context(room)
                await pending.keep()
            failpoint("upload_before_row")
            await self._database.write(add_images, tenant, [pending.image], self._clock.now(), self._quota)
            return pending.image

    async def recall(self, tenant: str, image_id: str) -> Image:
        """Like ``find``, but may return an image that was deleted since it was last asked for.

        For those who look again before they rely on it: an image's facts never change.
        """
        image = self._known.get((tenant, image_id))
        if image is None:
            image = await self.find(tenant, image_id)
            self._remember(tenant, image)
        return image

    def _remember(self, tenant: str, image: Image) -> None:
        self._known[tenant, image.image_id] = image
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]

    async def find(self, tenant: str, image_id: str) -> Image:
        """Return an image. Raises IMAGE_NOT_FOUND, and INVALID_FIELD for an id that is malformed."""
        check_image_id(image_id)
        image = await self._database.look_up(get_image, tenant, image_id)
        if image is None:
            raise image_not_found()
        return image

    def read(self, image: Image, offset: int) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from ``offset`` on. Raises OFFSET_OUT_OF_RANGE, IMAGE_CORRUPT."""
        if not 0 <= offset <= image.size_bytes:
            raise Refusal(
                Reason.OFFSET_OUT_OF_RANGE,
                f"offset is {offset}; this image has {image.size_bytes} bytes.",
            )
        return self._library.read(image.image_id, offset)


def check_image_id(image_id: str) -> None:
    """Raise INVALID_FIELD for an id that no image can have, such as one that was cut short."""
    if not IMAGE_ID.fullmatch(image_id):
        raise invalid("image_id", MALFORMED_ID)
