"""What one tenant may take: requests, tasks that wait, bytes (F88). Watches are in test_watch."""

import asyncio
from pathlib import Path

import pytest

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient, ResourceExhausted
from imageedit_server.access.rates import RequestRates
from imageedit_server.core.errors import Reason, Refusal
from tests.rpc.callers import ALICE, BOB, asking, bearer
from tests.rpc.calls import assert_presentable, call
from tests.rpc.pictures import PNG, picture
from tests.rpc.serving import SCRIPTED, serving


class Clock:
    """Seconds, as the test says."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def spent(rates: RequestRates, tenant: str = "alice") -> float | None:
    """Try to spend a token; return the seconds to wait when there is none."""
    try:
        rates.spend(tenant)
    except Refusal as refusal:
        return refusal.retry_after_seconds if refusal.reason is Reason.QUOTA_EXCEEDED else -1
    return None


def test_a_second_s_worth_may_come_at_once() -> None:
    """Then one for each part of a second; the time that is named is enough, and not more than needed."""
    clock = Clock()
    rates = RequestRates(4, clock)
    assert [spent(rates) for _ in range(5)] == [None] * 4 + [0.25]
    clock.now += 0.125
    assert spent(rates) == 0.125
    clock.now += 0.125
    assert [spent(rates), spent(rates)] == [None, 0.25]
    clock.now += 1000
    assert [spent(rates) for _ in range(5)] == [None] * 4 + [0.25]


def test_tenants_do_not_spend_each_other_s() -> None:
    """A flood by one leaves the other's bucket full."""
    rates = RequestRates(1, Clock())
    assert [spent(rates), spent(rates)] == [None, 1.0]
    assert [spent(rates, "bob"), spent(rates, "bob")] == [None, 1.0]


def test_less_than_one_a_second_is_possible() -> None:
    """And 0 is no limit."""
    clock = Clock()
    rates = RequestRates(0.5, clock)
    assert [spent(rates), spent(rates)] == [None, 2.0]
    clock.now += 2
    assert spent(rates) is None
    assert {spent(RequestRates(0)) for _ in range(100)} == {None}


@pytest.mark.parametrize("with_keys", [True, False])
async def test_too_many_requests_are_refused_with_a_time(tmp_path: Path, with_keys: bool) -> None:
    """Of every kind, and before anything is looked up; another tenant goes on; health is not counted."""
    limit = "[limits]\nrequests_per_second = 0.001\n"
    async with asking(tmp_path, limit) if with_keys else serving(tmp_path, SCRIPTED, limit) as served:
        alice = bearer(ALICE) if with_keys else ()
        assert (await call(served.channel, "ListModels", pb.ListModelsRequest(), metadata=alice)).responses
        for method in ("ListModels", "WatchTask", "UploadImage", "GetTask"):
            outcome = await call(served.channel, method, b"", metadata=alice)
            assert (outcome.code.name, outcome.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
            assert_presentable(outcome)
            assert 900 < (outcome.retry_seconds or 0) <= 1000
        if with_keys:
            bobs = await call(served.channel, "ListModels", pb.ListModelsRequest(), metadata=bearer(BOB))
            assert bobs.responses
        for _ in range(3):
            assert await served.channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)(b"")


async def test_a_full_queue_is_refused_with_a_time(tmp_path: Path) -> None:
    """Another tenant creates on; checking only is free; a place is free again when a task is cancelled."""
    limits = "[limits]\nqueued_tasks = 2\n[engine]\nconcurrency = 1\n"
    async with asking(tmp_path, limits) as served:
        address = served.server.grpc_address
        async with AsyncClient(address, api_key=ALICE) as alice, AsyncClient(address, api_key=BOB) as bob:
            image = (await alice.upload(PNG)).image_id
            running = await alice.edit_image("x", [image], model="scripted/never")
            async for event in alice.watch(running.task_id):
                if event.task.HasField("start_time"):
                    break
            queued = [await alice.edit_image("x", [image]) for _ in range(2)]
            with pytest.raises(ResourceExhausted) as refused:
                await alice.edit_image("x", [image])
            assert (refused.value.reason, refused.value.retry_after) == ("QUOTA_EXCEEDED", 1.0)
            assert not (await alice.edit_image("x", [image], validate_only=True)).task_id
            await bob.edit_image("x", [PNG])
            await alice.cancel(queued[0].task_id)
            await alice.edit_image("x", [image])


@pytest.mark.parametrize("inline", [False, True])
async def test_storage_is_exact_however_many_store_at_once(tmp_path: Path, inline: bool) -> None:
    """What is refused leaves no file (P20). Control: another tenant stores meanwhile, and the same twice."""
    pictures = [picture(64, 64, fill=fill) for fill in range(100, 112)]
    most = max(map(len, pictures))
    async with asking(tmp_path, f"[limits]\nstored_bytes = {4 * most + 1}\n") as served:
        address = served.server.grpc_address
        async with AsyncClient(address, api_key=ALICE) as alice, AsyncClient(address, api_key=BOB) as bob:

            async def store(client: AsyncClient, content: bytes) -> int:
                source = image_pb2.ImageSource(content=content)
                try:
                    if inline:
                        await client.edit_image("x", [source], model="scripted/never")
                    else:
                        await client.upload(content)
                except ResourceExhausted:
                    return 0
                return len(content)

            others = asyncio.gather(*(store(bob, pictures[0]) for _ in range(6)))
            stored = await asyncio.gather(*(store(alice, content) for content in pictures))
            assert all(await others)
            files = (served.data_dir / "images").glob("??/*")
            kept = sum(file.stat().st_size for file in files)
            assert sum(stored) in range(4 * most - len(pictures), 4 * most + 1)
            assert kept in {sum(stored), sum(stored) + len(pictures[0])}


async def test_full_storage_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    """No file and no row (P20); the same picture again is no more; results of what was accepted are kept."""
    other = picture(fill=7)
    async with asking(tmp_path, f"[limits]\nstored_bytes = {len(PNG)}\n") as served:
        address = served.server.grpc_address
        async with AsyncClient(address, api_key=ALICE) as alice, AsyncClient(address, api_key=BOB) as bob:
            image = await alice.upload(PNG)
            stored = await served.stored()
            inline = [image_pb2.ImageSource(content=other)]
            for refused in (
                alice.upload(other),
                alice.edit_image("x", [image.image_id]),
                alice.edit_image("x", inline),
            ):
                with pytest.raises(ResourceExhausted) as caught:
                    await refused
                assert (caught.value.reason, caught.value.retry_after) == ("QUOTA_EXCEEDED", None)
            assert await served.stored() == stored
            assert await alice.upload(PNG) == image
            with pytest.raises(ResourceExhausted):
                await bob.edit_image("x", [image_pb2.ImageSource(content=picture(64, 64, fill=3))])
            assert await served.stored() == stored
            assert (await bob.upload(PNG)).image_id == image.image_id
