"""Small files that would become huge are refused, and the service process does not feel them (P18, F80)."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from imageedit_server.core.errors import Code, Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.sandbox.limits import GIB, Allowance
from imageedit_server.sandbox.pool import WorkerPool
from tests.images.pictures import chunk, files, png, zeros
from tests.sandbox.bombs import BOMBS, HARMLESS, scans

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def bomb(request: pytest.FixtureRequest) -> bytes:
    """The bytes."""
    data: bytes = request.param()
    return data


@pytest.fixture
def calm(bomb: bytes) -> Iterator[None]:
    """The peak memory of this process, the service's part, does not rise by 40 MB once the bomb is made."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    before = memory()
    yield
    assert memory() - before < 40_000


def memory() -> int:
    """Return the peak resident memory in kB, or 0 where it is not known."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) if found else 0


@pytest.mark.parametrize(
    ("bomb", "reason", "description"),
    [pytest.param(*row, id=name) for name, row in BOMBS.items()],
    indirect=["bomb"],
)
@pytest.mark.usefixtures("calm")
async def test_a_bomb_is_refused(
    bomb: bytes, library: ImageLibrary, tmp_path: Path, reason: Reason, description: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(bomb, field="chunk")
    assert refused.value.reason is reason
    assert description in refused.value.message
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "bomb", [pytest.param(make, id=name) for name, (make, *_) in BOMBS.items()], indirect=["bomb"]
)
@pytest.mark.usefixtures("calm")
async def test_a_bomb_that_is_a_result_is_refused_or_defused(
    bomb: bytes, results: ImageLibrary, library: ImageLibrary
) -> None:
    """Results are made good within the same limits: what is left of it is a picture like any other."""
    [came] = await asyncio.gather(results.add_bytes(bomb, field="result"), return_exceptions=True)
    if isinstance(came, Image):
        assert await library.add_bytes(await results.content(came), field="chunk") == came
    else:
        assert isinstance(came, Refusal)
        assert came.reason.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "bomb", [pytest.param(make, id=name) for name, make in HARMLESS.items()], indirect=["bomb"]
)
@pytest.mark.usefixtures("calm")
async def test_what_is_within_the_limits_passes_unfelt(bomb: bytes, library: ImageLibrary) -> None:
    await asyncio.gather(library.add_bytes(bomb, field="chunk"), library.add_bytes(bomb, field="chunk"))


async def test_a_result_that_takes_too_long_to_decode_is_refused(
    blobs: FileBlobStore, pool: WorkerPool, tmp_path: Path
) -> None:
    """A header that is honest, 16 MB, and minutes of CPU: the kernel ends it.

    Of a caller's picture the scans are counted before; of one that is paid for they are not.
    """
    short = Allowance(cpu_seconds=1, wall_seconds=60, memory_bytes=GIB)
    library = ImageLibrary(blobs, pool.within(short), max_bytes=20_000_000, max_pixels=50_000_000, paid=True)
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(scans(200_000), field="result")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
    assert "within the memory and time" in refused.value.message
    assert files(tmp_path) == []


async def test_a_picture_that_takes_too_much_memory_to_decode_is_refused(
    blobs: FileBlobStore, pool: WorkerPool, tmp_path: Path
) -> None:
    tight = Allowance(cpu_seconds=10, wall_seconds=60, memory_bytes=GIB // 8)
    library = ImageLibrary(blobs, pool.within(tight), max_bytes=20_000_000, max_pixels=50_000_000)
    keyed = png(zeros(15_001 * 5_000), (5_000, 5_000), chunk(b"tRNS", bytes(6)), colour=2)
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(keyed, field="chunk")
    assert refused.value.reason is Reason.IMAGE_UNDECODABLE
    assert "within the memory and time" in refused.value.message
    assert files(tmp_path) == []
