"""Vendors that never stop sending cost memory within bounds, and nobody else's time (F43, F44)."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

from imageedit_client import AsyncClient
from tests.chaos.kie_cells import KieAccount
from tests.chaos.matrix import HEADING
from tests.chaos.openai_cells import RELAY, OpenaiAccount
from tests.chaos.words import state_of
from tests.figures import Figures
from tests.servers.config import Table, base_tables
from tests.servers.homes import home
from tests.vendors.kie.behaviours import on_the_wire
from tests.vendors.openai.behaviours import on_the_wire as relay_on_the_wire
from tests.vendors.serving import Line

MIB = 1024 * 1024
REPLY_CAP = 55 * MIB
"""The largest reply that is held in memory: one picture as Base64 (VENDORS §3)."""
ANSWER_SECONDS = 10.0
"""A vendor that held up the others would do so until its limit."""


async def endless_chunks(line: Line) -> None:
    """Send spaces for ever, without saying how many there will be."""
    await line.send(b"HTTP/1.1 200 X\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    while True:
        await line.send(piece)


async def test_endless_bodies_cost_bounded_memory_and_nobodys_time(tmp_path: Path, figures: Figures) -> None:
    kie, relay = KieAccount(), OpenaiAccount(RELAY)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(kie)
        await stack.enter_async_context(relay)

        def tables(_: str) -> Mapping[str, Table]:
            return {
                **base_tables(allow=[kie.result_url, relay.result_url]),
                "providers.kie": {**kie.table("kie"), "adapter": "kie"},
                "providers.relay": relay.table("relay"),
            }

        server = await stack.enter_async_context(home(tmp_path, tables))
        await server.start()
        client = await stack.enter_async_context(AsyncClient(server.address))

        async def edit(account: KieAccount | OpenaiAccount, provider: str) -> str:
            created = await account.create(client, provider, {"timeout": 200})
            task = await client.wait(created.task_id)
            return task.error.reason or state_of(task)

        assert [await edit(kie, ""), await edit(relay, "relay")] == ["SUCCEEDED"] * 2
        before = server.peak_bytes()
        answering = asyncio.create_task(slowest(client))
        kie.vendor.misbehave("createTask", on_the_wire("endless", endless_chunks))
        relay.vendor.misbehave(relay_on_the_wire("endless", endless_chunks))
        reasons = [await edit(kie, ""), await edit(relay, "relay")]
        kie.vendor.misbehave("recordInfo", on_the_wire("endless", endless_chunks), 3)
        reasons.append(await edit(kie, ""))
        kie.vendor.misbehave("result", on_the_wire("endless", endless_chunks))
        reasons.append(await edit(kie, ""))
        answering.cancel()
        longest = await answering
        grown = server.peak_bytes() - before
        figures.line(
            HEADING, f"endless bodies: peak memory +{grown / MIB:.0f} MiB, slowest answer {longest:.3f} s"
        )
        assert reasons == ["SUBMIT_OUTCOME_UNKNOWN"] * 2 + ["SUCCEEDED", "PROVIDER_BAD_RESULT"]
        assert grown <= 3 * REPLY_CAP  # once until the disk has it, once to be read
        assert longest < ANSWER_SECONDS


async def slowest(client: AsyncClient) -> float:
    """Ask something simple until cancelled; return how long the slowest answer took."""
    longest = 0.0
    try:
        while True:
            begun = time.monotonic()
            await client.list_models()
            longest = max(longest, time.monotonic() - begun)
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        return longest
