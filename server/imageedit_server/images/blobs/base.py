"""The seam to where the bytes of pictures are kept. Everything a blob store must do stands on this page.

Bytes are named by their SHA-256 and never changed. A store knows no rows: who may read what, and what may go,
is decided by its callers.
"""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from imageedit_server.images.blobs.staging import CHUNK_BYTES, Staged


class BlobStore(Protocol):
    """Keeps bytes under their digest.

    What is under way runs to its end when its caller is cancelled, so that nothing is closed or removed under
    it. Raises ``Refusal`` (STORAGE_FULL) when there is no room and ``StorageBroken`` when something was lost;
    both must leave nothing behind. What is only away or slow is a ``Refusal`` of another reason. Must not
    block the loop, but for ``prepare``.
    """

    def prepare(self) -> None:
        """Make the store ready and sweep what a crash left half written. Blocks.

        Called once, before all else; may be called on a store that was used before.
        """
        ...

    def lost(self) -> str:
        """Return which of its folders is gone or replaced since ``prepare``, empty for none (F28).

        Called in a thread; blocks for as long as the disk does.
        """
        ...

    def stage(self, chunks: AsyncIterable[bytes]) -> AbstractAsyncContextManager[Staged]:
        """Take ``chunks``, for as long as the context lasts or until ``commit``; nobody else can read them.

        Of what is large, less than twice ``CHUNK_BYTES`` and two chunks may be in memory, whatever the
        chunks' sizes; of what is smaller than ``CHUNK_BYTES``, no file is made. Whatever ends the context, an
        error of ``chunks`` or a cancellation included, must leave nothing that was not committed. What has a
        file may become durable meanwhile; a disk that breaks at that is told by the end of the context.
        """
        ...

    async def commit(self, staged: Staged) -> str:
        """Make what was staged durable under its digest and return its image id (P1).

        Must mend equal bytes that are stored already and damaged, and make them new to ``remove``.
        """
        ...

    def read(
        self, image_id: str, offset: int = 0, chunk_bytes: int = CHUNK_BYTES
    ) -> AsyncGenerator[bytes, None]:
        """Stream the bytes from ``offset`` on, in chunks of at most ``chunk_bytes``.

        Must hash all bytes on the way, also those before ``offset``, and hand the last chunk out only when
        the digest is right; otherwise, also when nothing is there, raises ``Refusal`` (IMAGE_CORRUPT): call
        this only for an image that is on record. Must yield nothing from an offset at or beyond the end, and
        go on with the bytes that it began with when equal ones are committed meanwhile. Raises ``Refusal``
        (IMAGE_NOT_FOUND) for what is no image id.
        """
        ...

    def file(self, image_id: str) -> AbstractAsyncContextManager[Path]:
        """Lend a local file with the bytes, verified as in ``read``, for as long as the context lasts.

        It may be read and not changed. Raises as ``read`` does, before anything is lent.
        """
        ...

    def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        """Yield the ids of what was last committed before ``moment``, in batches that suit one query."""
        ...

    async def remove(self, image_ids: Collection[str], *, older_than: datetime) -> list[str]:
        """Remove the bytes of these ids, unless they were committed again since; return which were removed.

        For ids that no row speaks of. Whoever commits equal bytes meanwhile, to write a row next, keeps them:
        ``commit`` must see looking at the age and removing as one step. Ids of nothing are left out.
        """
        ...

    async def erase(self, image_ids: Collection[str], *, spare: Callable[[str], bool]) -> list[str]:
        """Remove the bytes of these ids durably, whatever their age; return which are not there any more.

        ``spare`` says, in any thread, which must stay: somebody commits them. ``commit`` must see asking it
        and removing as one step.
        """
        ...
