"""A copy that is served pays for nothing that its original may have paid for, or asks its operator (P32)."""

import asyncio
import logging
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from imageedit_client import AsyncClient, Task
from imageedit_server.engine import dispatcher
from imageedit_server.engine.restoring import Said
from imageedit_server.maintenance import backup
from imageedit_server.settings import load_settings
from imageedit_server.store.database import StoreRefused
from tests.process.watching import SUCCEEDED
from tests.rpc.pictures import PNG
from tests.rpc.waiting import eventually
from tests.servers.config import place_of, write_config
from tests.servers.here import serving_here
from tests.vendors.openai.server import OpenaiVendor

MODEL = "gpt-image-2"
MAY_HAVE_BEEN = "BILLING_MAY_HAVE_BEEN_CHARGED"
TASKS = 3


@asynccontextmanager
async def vendor() -> AsyncIterator[OpenaiVendor]:
    async with OpenaiVendor(work_seconds=0.3) as vendor:
        yield vendor


def configured(folder: Path, vendor: OpenaiVendor) -> Path:
    """One paid call at a time, so that other tasks wait in the queue."""
    openai = {"adapter": "openai", "base_url": vendor.url, "api_key": vendor.api_key, "concurrency": 1}
    return write_config(folder, {"providers.gpt": openai, "fetch": {"allow": [place_of(vendor.url)]}})


@asynccontextmanager
async def served(config: Path, data_dir: Path, said: Said | None = None) -> AsyncIterator[AsyncClient]:
    async with (
        serving_here(config, data_dir, said=said) as server,
        AsyncClient(server.grpc_address) as client,
    ):
        yield client


async def ended(client: AsyncClient, tasks: Sequence[Task]) -> list[Task]:
    return [await asyncio.wait_for(client.wait(task.task_id), 60) for task in tasks]


async def begun(client: AsyncClient, vendor: OpenaiVendor) -> list[Task]:
    """Make tasks of which one is being paid for, and the others wait."""
    image = await client.upload(PNG)
    tasks = [
        await client.edit_image(f"number {each}", [image.image_id], model=MODEL) for each in range(TASKS)
    ]
    await eventually(lambda: bool(vendor.requests))
    return tasks


def twice(vendor: OpenaiVendor) -> list[str]:
    paid = Counter(charge.fields["prompt"] for charge in vendor.ledger)
    return [prompt for prompt, times in paid.items() if times > 1]


def assert_parked(task: Task) -> None:
    """Its attempt too: one that waited in the queue has one that may have been paid."""
    assert task.error.reason == "SUBMIT_OUTCOME_UNKNOWN"
    assert "restored from a copy" in task.error.message
    assert Task.Billing.Name(task.billing) == MAY_HAVE_BEEN
    [attempt] = task.attempts
    assert (attempt.number, attempt.provider, attempt.billing) == (1, "gpt", task.billing)
    assert type(attempt).Outcome.Name(attempt.outcome) == "OUTCOME_UNKNOWN"


async def test_a_backup_that_is_served_pays_for_nothing_twice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither for what was under way nor for what waited; the next start is as any other."""
    caplog.set_level(logging.WARNING, "imageedit_server")
    async with vendor() as paid:
        config = configured(tmp_path, paid)
        settings = load_settings(config, {}, {"data_dir": tmp_path / "data"})
        async with served(config, tmp_path / "data") as client:
            tasks = await begun(client, paid)
            assert all(finding.ok for finding in backup(settings, tmp_path / "copy"))
            assert [task.state for task in await ended(client, tasks)] == [SUCCEEDED] * TASKS
        assert len(paid.ledger) == TASKS
        async with served(config, tmp_path / "copy") as client:
            for task in await ended(client, tasks):
                assert_parked(task)
            assert len(paid.ledger) == TASKS
            [told] = [each.message for each in caplog.records if "restored" in each.message]
            assert f"{TASKS} open tasks" in told
            assert "--resubmit-restored" in told
            assert [task.state for task in await ended(client, await begun(client, paid))] == [
                SUCCEEDED
            ] * TASKS
        async with served(config, tmp_path / "copy") as client:
            assert len([task async for task in client.list()]) == 2 * TASKS
        assert len([each for each in caplog.records if "restored" in each.message]) == 1


async def test_a_copy_that_parks_nothing_pays_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: the same ledger shows it."""

    async def park_nothing(*_given: object) -> None:
        """Go on with every task."""

    monkeypatch.setattr(dispatcher, "settle", park_nothing)
    async with vendor() as paid:
        config = configured(tmp_path, paid)
        settings = load_settings(config, {}, {"data_dir": tmp_path / "data"})
        async with served(config, tmp_path / "data") as client:
            tasks = await begun(client, paid)
            assert all(finding.ok for finding in backup(settings, tmp_path / "copy"))
            await ended(client, tasks)
        async with served(config, tmp_path / "copy") as client:
            await ended(client, tasks)
        assert twice(paid)


async def test_the_operator_may_have_the_tasks_of_a_backup_sent_again(tmp_path: Path) -> None:
    """Who knows that the original paid for none, for it was lost with its disk."""
    async with vendor() as paid:
        config = configured(tmp_path, paid)
        settings = load_settings(config, {}, {"data_dir": tmp_path / "data"})
        async with served(config, tmp_path / "data") as client:
            tasks = await begun(client, paid)
            list(backup(settings, tmp_path / "copy"))
        shutil.rmtree(tmp_path / "data")
        async with served(config, tmp_path / "copy", Said(resubmit=True)) as client:
            waited = await ended(client, tasks[1:])
            assert [task.state for task in waited] == [SUCCEEDED] * (TASKS - 1)
        assert "number 2" not in twice(paid)


async def test_a_copy_that_nobody_marked_asks_what_it_is(tmp_path: Path) -> None:
    """It has another lock file than the database remembers: a snapshot, or the very data in a new place."""
    async with vendor() as paid:
        config = configured(tmp_path, paid)
        async with served(config, tmp_path / "data") as client:
            tasks = await begun(client, paid)
            shutil.copytree(tmp_path / "data", tmp_path / "snapshot")
            shutil.copytree(tmp_path / "data", tmp_path / "moved")
            await ended(client, tasks)
        before = len(paid.ledger)
        with pytest.raises(StoreRefused, match=r"last served from another place.*--restored.*--moved"):
            async with served(config, tmp_path / "snapshot"):
                pass
        async with served(config, tmp_path / "snapshot", Said(restored=True)) as client:
            for task in await ended(client, tasks):
                assert_parked(task)
        async with served(config, tmp_path / "snapshot"):
            pass
        assert len(paid.ledger) == before
        async with served(config, tmp_path / "moved", Said(moved=True)) as client:
            assert [task.state for task in (await ended(client, tasks))[1:]] == [SUCCEEDED] * (TASKS - 1)
        async with served(config, tmp_path / "moved"):
            pass
