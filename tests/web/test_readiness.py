"""Readiness tells the truth: over HTTP in words, over grpc.health as a status (PROMISES §7, F19, F25)."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient
from imageedit_server.store.sqlite import database as sqlite_database
from imageedit_server.store.sqlite import file as sqlite_file
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.telemetry import health
from imageedit_server.telemetry.metrics import REGISTRY
from tests.contracts.databases import DATABASES
from tests.rpc.calls import call
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, SERVICE, Served, serving
from tests.rpc.waiting import eventually
from tests.store.making import create

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
DISK = DATABASES["sqlite"]
LIMIT_BYTES = 5 * 1024 * 1024  # above the 4 MB at which SQLite looks whether it can begin the log anew


@pytest_asyncio.fixture
async def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A server that looks after itself often."""
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(sqlite_database, "ROOM_SECONDS", 0.01)
    async with serving(tmp_path, SCRIPTED) as served:
        yield served


async def ready(served: Served) -> tuple[int, str]:
    """What ``/readyz`` answers."""
    async with httpx.AsyncClient(
        base_url=f"http://{served.server.http_address}", trust_env=False, timeout=60
    ) as http:
        assert (await http.get("/healthz")).status_code == 200
        answer = await http.get("/readyz")
        return answer.status_code, answer.text.strip()


async def becomes(served: Served, status: int) -> None:
    """Wait until health checks of the server and of its service say ``status``."""
    check = served.channel.unary_unary("/grpc.health.v1.Health/Check", bytes, HealthCheckResponse.FromString)

    async def is_so(name: str) -> bool:
        answer: HealthCheckResponse = await check(HealthCheckRequest(service=name).SerializeToString())
        return answer.status == status

    for name in ("", SERVICE.full_name):
        await eventually(lambda name=name: is_so(name))  # type: ignore[misc]


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"imageedit_{name}")


async def test_a_disk_that_is_nearly_full_turns_traffic_away_until_there_is_room(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    await becomes(served, SERVING)
    assert shown("ready") == 1
    real = os.statvfs(served.data_dir)
    for field, words in (("f_bavail", "bytes are free"), ("f_favail", "takes 0 more files")):
        with monkeypatch.context() as patch:
            patch.setattr(os, "statvfs", lambda _path, field=field: Full(real, field))
            await becomes(served, NOT_SERVING)
            status, reason = await ready(served)
            assert (status, "the disk is nearly full" in reason, words in reason) == (503, True, True)
            assert shown("ready") == 0
        await becomes(served, SERVING)
        assert await ready(served) == (200, "ready")


class Full:
    """What a file system says that has nothing left of one kind."""

    def __init__(self, real: os.statvfs_result, field: str) -> None:
        self._real = real
        self._field = field

    def __getattr__(self, name: str) -> int:
        return 0 if name == self._field else int(getattr(self._real, name)) or 10**6


async def test_a_store_without_room_refuses_creates_answers_reads_and_recovers_alone(served: Served) -> None:
    """F19: nobody writes meanwhile, so the store itself must find out that there is room again."""
    database = database_of(served)
    async with AsyncClient(served.server.grpc_address) as client:
        image = await client.upload(PNG)
        before = await client.edit_image("x", [image.image_id])
        await client.wait(before.task_id)
        await database.write(DISK.fill)
        request = pb.EditImageRequest(
            prompt="x" * 30_000, images=[image_pb2.ImageSource(image_id=image.image_id)]
        )
        while (outcome := await call(served.channel, "EditImage", request)).code is grpc.StatusCode.OK:
            pass  # there was room left for a few
        assert (outcome.code, outcome.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "STORAGE_FULL")
        assert await ready(served) == (503, "the disk is full")
        await becomes(served, NOT_SERVING)
        assert (await client.get(before.task_id)).task_id == before.task_id
        assert await client.download(image.image_id) == PNG
        await database.write(DISK.free)
        await becomes(served, SERVING)
        assert (await call(served.channel, "EditImage", request)).code is grpc.StatusCode.OK
    assert await ready(served) == (200, "ready")


async def test_a_broken_store_is_no_place_for_traffic(served: Served) -> None:
    """F22, F23: for as long as it takes the process to end."""
    database_of(served).broken.set_result(OSError())
    assert await ready(served) == (503, "the store can no longer be trusted")


async def test_pictures_that_were_taken_away_end_it(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """F28: nobody has to write first, and no edit is taken that could not read its picture."""
    async with AsyncClient(served.server.grpc_address) as client:
        image = await client.upload(PNG)
    (served.data_dir / "images").rename(served.data_dir / "moved")
    assert "images is gone" in str(await asyncio.wait_for(served.server.broken, 90))
    assert await ready(served) == (503, "the store can no longer be trusted")
    request = pb.EditImageRequest(prompt="x", images=[image_pb2.ImageSource(image_id=image.image_id)])
    outcome = await call(served.channel, "EditImage", request)
    assert (outcome.code, outcome.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")


async def test_a_long_read_makes_the_log_grow_with_an_alarm_and_its_end_cuts_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F25."""
    for module in (sqlite_database, sqlite_file):
        monkeypatch.setattr(module, "WAL_LIMIT_BYTES", LIMIT_BYTES)
    async with DISK.open(tmp_path) as database:
        assert isinstance(database, SqliteDatabase)
        await create(database)
        with reading(tmp_path):
            await create_until(database, lambda: bool(database.alarm()))
            assert "the write-ahead log has" in database.alarm()
            assert (shown("wal_bytes") or 0) > LIMIT_BYTES
        await create_until(database, lambda: not database.alarm())
    assert shown("wal_bytes") == 0


async def create_until(database: SqliteDatabase, reached: Callable[[], bool]) -> None:
    """Create large tasks, but not for ever."""
    for _ in range(200):
        if reached():
            return
        await create(database, prompt="x" * 100_000)
    raise AssertionError("200 large tasks did not do it")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Hold on to what the database is now."""
    connection = sqlite3.connect(folder / "imageedit.sqlite3", isolation_level=None)
    try:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM task")
        yield
    finally:
        connection.close()


def database_of(served: Served) -> SqliteDatabase:
    database = served.server.database
    assert isinstance(database, SqliteDatabase)
    return database
