"""A server whose store can no longer be trusted ends, but not while it pays (F22, F28, P31)."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imageedit_client import AsyncClient
from tests.faults.vendors import Relay
from tests.rpc.pictures import PNG
from tests.servers.config import base_tables, write_config
from tests.servers.processes import Servers
from tests.servers.programs import serve_arguments
from tests.vendors.openai.behaviours import Honest
from tests.vendors.serving import Request


class PausingRelay(Relay):
    """Is paid, and answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.paid, self.may_answer = asyncio.Event(), asyncio.Event()

    async def _edit(self, request: Request) -> Honest:
        answer = await super()._edit(request)
        self.paid.set()
        await self.may_answer.wait()
        return answer


@pytest.fixture
async def vendor() -> AsyncIterator[PausingRelay]:
    async with PausingRelay() as relay:
        yield relay


async def test_its_end_waits_for_a_call_that_is_paid_for(
    servers: Servers, tmp_path: Path, vendor: PausingRelay
) -> None:
    """The data are moved away while the vendor works; they are back when the next server starts."""
    tables = base_tables(allow=[vendor.url])
    config = write_config(tmp_path, {**tables, "server": {}, "providers.relay": vendor.table()})
    data_dir = tmp_path / "data"
    first = await (await servers.run(*serve_arguments(config, data_dir))).ready()
    async with AsyncClient(first.grpc) as client:
        task = await client.edit_image("make it warmer", [PNG], model=vendor.model)
        await vendor.paid.wait()
        moved = data_dir.rename(tmp_path / "moved")
        await first.logs("draining")
    moved.rename(data_dir)
    vendor.may_answer.set()
    assert await first.ended() == 1
    assert "the server cannot go on" in first.stderr()
    second = await (await servers.run(*serve_arguments(config, data_dir))).ready()
    async with AsyncClient(second.grpc) as client:
        assert (await client.wait(task.task_id)).images
    assert len(vendor.ledger) == 1
