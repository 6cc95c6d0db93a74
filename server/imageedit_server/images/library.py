"""The image library: bytes in, looked at and kept; bytes out, checked on the way (P19, P20)."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imageedit_server.core.errors import Reason, Refusal, invalid
from imageedit_server.core.image import Image, image_id_of
from imageedit_server.images.blobs.base import BlobStore
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.blobs.staging import Staged
from imageedit_server.images.in_hand import Held, InHand
from imageedit_server.images.inspection import Inspection, InspectionFailed
from imageedit_server.images.mending import Mended, make_good
from imageedit_server.runtime.workers import Overran, WorkerDied, Workers, WorkersBroken

RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Pending:
    """A picture that was looked at and is sound. ``keep`` makes its bytes durable (P1)."""

    image: Image
    keep: Callable[[], Awaitable[object]]


class ImageLibrary:
    """Takes pictures of at most ``max_bytes`` and ``max_pixels``.

    ``workers`` is where pictures are decoded, within what one may take (P18). What is wrong around the
    pixels is put right, more of it where the pictures are ``paid`` for (P19); so ``workers`` must be able to
    return a little more than ``max_bytes``.
    ``in_hand`` knows what is stored and has no row yet.
    ``on_broken`` is told when the disk lost something, after which the process must end (F22).
    """

    def __init__(
        self,
        blobs: BlobStore,
        workers: Workers,
        *,
        max_bytes: int,
        max_pixels: int,
        paid: bool = False,
        in_hand: InHand | None = None,
        on_broken: Callable[[Exception], None] = lambda _error: None,
    ) -> None:
        self._blobs = blobs
        self._workers = workers
        self._max_bytes = max_bytes
        self._max_pixels = max_pixels
        self._paid = paid
        self._in_hand = in_hand or InHand()
        self._on_broken = on_broken

    @asynccontextmanager
    async def stage(
        self, chunks: AsyncIterable[bytes], *, field: str, expected_sha256: str = ""
    ) -> AsyncIterator[Pending]:
        """Write a picture and look at it; at the end of the context it is gone, unless it was kept.

        ``field`` is the proto path that refusals name. Raises ``Refusal``: IMAGE_TOO_LARGE as soon as the
        bytes or the header say so, IMAGE_UNDECODABLE for what is not one sound PNG, JPEG or WebP,
        INVALID_FIELD on ``info.sha256`` when ``expected_sha256`` (hex, with or without ``sha256:``) is
        given and another; STORAGE_FULL; DRAINING. Then, and when cancelled, nothing is left on disk.
        Raises ``StorageBroken`` as ``BlobStore`` does.
        """
        try:
            async with self._blobs.stage(self._limited(chunks, field)) as staged:
                _check_digest(staged, expected_sha256)
                found = await self._examined(staged.picture, field)
                async with self._mended(staged, found.content) as whole:
                    yield Pending(_image(whole, found.inspection), partial(self._keep, whole))
        except StorageBroken as error:
            self._on_broken(error)
            raise

    def stage_bytes(self, data: bytes, *, field: str) -> AbstractAsyncContextManager[Pending]:
        """Look at a picture that is in memory, as ``stage`` does."""
        return self.stage(_whole(data), field=field)

    async def add(self, chunks: AsyncIterable[bytes], *, field: str, expected_sha256: str = "") -> Image:
        """Store a picture; when this returns its file is durable, and may be put on record (P1).

        Raises as ``stage`` does.
        """
        async with self.stage(chunks, field=field, expected_sha256=expected_sha256) as pending:
            await pending.keep()
            return pending.image

    async def add_bytes(self, data: bytes, *, field: str) -> Image:
        """Store a picture that is in memory, as ``add`` does."""
        return await self.add(_whole(data), field=field)

    def holding(self) -> AbstractContextManager[Held]:
        """Have in hand until the block ends what is kept in it, so that nobody erases it before its row."""
        return self._in_hand.holding()

    async def erase(
        self, image_ids: Collection[str], nobodys: Callable[[Collection[str]], Awaitable[Collection[str]]]
    ) -> set[str]:
        """Remove the bytes, durably, of those ids that ``nobodys`` finds no row for and nobody has in hand.

        Returns the ids that need no second look: their bytes are gone, or they have a row. Raises
        ``StorageBroken`` as ``BlobStore`` does.
        """
        try:
            with self._in_hand.looking() as taken:
                rowless = await nobodys(image_ids)
                gone = await self._blobs.erase(rowless, spare=taken)
        except StorageBroken as error:
            self._on_broken(error)
            raise
        return set(image_ids) - (set(rowless) - set(gone))

    def read(self, image_id: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Stream a recorded image's bytes, as ``BlobStore.read`` does."""
        return self._blobs.read(image_id, offset)

    async def content(self, image: Image) -> bytes:
        """Return a recorded image's bytes, all at once; raises as ``read`` does."""
        chunks = self._blobs.read(image.image_id, chunk_bytes=image.size_bytes)
        return b"".join([chunk async for chunk in chunks])

    async def _keep(self, staged: Staged) -> str:
        self._in_hand.take(image_id_of(staged.sha256))
        return await self._blobs.commit(staged)

    async def _limited(self, chunks: AsyncIterable[bytes], field: str) -> AsyncIterator[bytes]:
        size_bytes = 0
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > self._max_bytes:
                limit = f"has more than {self._max_bytes} bytes, the most that is allowed"
                raise invalid(field, limit, Reason.IMAGE_TOO_LARGE)
            yield chunk

    @asynccontextmanager
    async def _mended(self, staged: Staged, content: bytes) -> AsyncIterator[Staged]:
        """Give what is to be kept: what was made of the picture, the picture itself where that is nothing."""
        if not content:
            yield staged
            return
        async with self._blobs.stage(_whole(content)) as mended:
            yield mended

    async def _examined(self, picture: Path | bytes, field: str) -> Mended:
        try:
            return await self._workers.run(make_good, picture, max_pixels=self._max_pixels, paid=self._paid)
        except InspectionFailed as failed:
            raise invalid(field, failed.description, failed.reason) from failed
        except (WorkerDied, Overran, MemoryError) as died:
            limits = "could not be decoded within the memory and time that a picture may take"
            raise invalid(field, limits, Reason.IMAGE_UNDECODABLE) from died
        except WorkersBroken as broken:  # not the picture's fault
            later = "Pictures cannot be looked at just now; try again."
            raise Refusal(Reason.INTERNAL_ERROR, later, retry_after_seconds=RETRY_SECONDS) from broken


def _image(staged: Staged, found: Inspection) -> Image:
    return Image(
        image_id=image_id_of(staged.sha256),
        media_type=found.media_type,
        width=found.width,
        height=found.height,
        size_bytes=staged.size_bytes,
        transparency=found.transparency,
        upright=found.upright,
    )


async def _whole(data: bytes) -> AsyncIterator[bytes]:
    """Yield what is in memory as it is there: nothing more is to come that it could be cut up for."""
    yield data


def _check_digest(staged: Staged, expected_sha256: str) -> None:
    expected = expected_sha256.lower().removeprefix("sha256:")
    if expected and expected != staged.sha256:
        raise invalid("info.sha256", "is not the SHA-256 of the bytes that arrived")
