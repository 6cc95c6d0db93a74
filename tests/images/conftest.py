"""What the room's tests share: a real photograph, real worker processes, a store on a real disk."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.library import ImageLibrary
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool
from tests.images.pictures import PHOTO


@pytest.fixture(scope="session")
def photo() -> bytes:
    """A JPEG of 512 × 600 pixels."""
    return PHOTO


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pool() -> AsyncIterator[WorkerPool]:
    """One pool for a file's tests, which share an event loop for it."""
    pool = WorkerPool()
    yield pool
    await pool.aclose()


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobStore:
    """An empty store in ``tmp_path / "blobs"``."""
    blobs = FileBlobStore(tmp_path / "blobs")
    blobs.prepare()
    return blobs


@pytest.fixture
def library(blobs: FileBlobStore, pool: WorkerPool) -> ImageLibrary:
    """A library with the limits of DESIGN §6."""
    most = 20 * 1024 * 1024
    patient = replace(INSPECTION, wall_seconds=90, content_bytes=most)
    return ImageLibrary(blobs, pool.within(patient), max_bytes=most, max_pixels=50_000_000)


@pytest.fixture
def results(blobs: FileBlobStore, pool: WorkerPool) -> ImageLibrary:
    """A library of what is paid for."""
    most = 20 * 1024 * 1024
    workers = pool.within(replace(INSPECTION, wall_seconds=90, content_bytes=most))
    return ImageLibrary(blobs, workers, max_bytes=most, max_pixels=50_000_000, paid=True)
