"""Targets with worker processes: pictures whose structure is wrong, on their way into a library and out.

The rules: a picture comes of it or a refusal of the picture, by name; within the memory and the time of a
job; what is kept has what was said of it, nothing behind its end, and can be made ready for a vendor.
"""

import io
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from PIL import Image as Pillow

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.pictures.ready import Taken, make_ready
from imageedit_server.sandbox.limits import Allowance
from imageedit_server.sandbox.pool import WorkerPool
from tests.fuzz.fuzzing import Attack, Target
from tests.fuzz.structures import BEHIND, structures
from tests.images.pictures import MIB, PHOTO

MAX_PIXELS = 1_000_000
MAX_BYTES = 4 * MIB
ALLOWANCE = Allowance(cpu_seconds=2, wall_seconds=60, memory_bytes=512 * MIB, content_bytes=MAX_BYTES)
"""Measured: an honest picture takes 0.05 s, one of as many scans as may be 0.4 s, of as many chunks 1.1 s."""
REASONS = (Reason.IMAGE_UNDECODABLE, Reason.IMAGE_TOO_LARGE)
FIELD = "images[0]"
TAKEN = Taken(media_types=("image/png",), max_bytes=MAX_BYTES)


@asynccontextmanager
async def _library(*, paid: bool) -> AsyncIterator[Attack]:
    with tempfile.TemporaryDirectory() as folder:
        blobs, pool = FileBlobStore(Path(folder) / "blobs"), WorkerPool()
        blobs.prepare()
        workers = pool.within(ALLOWANCE)
        library = ImageLibrary(blobs, workers, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, paid=paid)

        async def attack(data: bytes) -> None:
            try:
                image = await library.add_bytes(data, field=FIELD)
            except Refusal as refusal:
                _is_of_the_picture(refusal)
                if "memory and time" in refusal.message:
                    await library.add_bytes(PHOTO, field=FIELD)  # the next worker has nothing of the last one
                    raise AssertionError(refusal.message) from refusal
                return
            content = await library.content(image)
            assert BEHIND not in content or not _has_an_end(data, paid=paid)
            assert await library.add_bytes(content, field=FIELD) == image
            _is_what_was_said(image, content)
            await workers.run(make_ready, content, TAKEN)

        try:
            yield attack
        finally:
            await pool.aclose()


def _is_of_the_picture(refusal: Refusal) -> None:
    assert refusal.reason in REASONS, refusal.message
    assert [violation.field for violation in refusal.violations] == [FIELD]
    assert refusal.message.startswith(f"{FIELD} ")
    assert "<" not in refusal.message


def _has_an_end(data: bytes, *, paid: bool) -> bool:
    """Whether a picture ends before its tail: a container may be longer, a paid JPEG is given an end."""
    if data.startswith(b"RIFF"):
        return 8 + int.from_bytes(data[4:8], "little") <= data.index(BEHIND)
    return not (paid and data.startswith(b"\xff\xd8"))


def _is_what_was_said(image: Image, content: bytes) -> None:
    with warnings.catch_warnings(action="ignore"), Pillow.open(io.BytesIO(content)) as picture:
        picture.load()
    assert Pillow.MIME[picture.format or ""] == image.media_type
    assert getattr(picture, "n_frames", 1) == 1
    assert sorted(picture.size) == sorted((image.width, image.height))
    assert image.width * image.height <= MAX_PIXELS
    assert image.size_bytes == len(content)


def _opened(*, paid: bool) -> Callable[[], AbstractAsyncContextManager[Attack]]:
    return partial(_library, paid=paid)


PICTURES = (
    Target(name="picture structure", opened=_opened(paid=False), formed=structures(), executions=25),
    Target(name="result structure", opened=_opened(paid=True), formed=structures(most=300), executions=20),
)
"""Of a result, which is paid for, the worker's limits alone decide; so it is not given what takes long."""
