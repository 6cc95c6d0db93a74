"""How long a call, a watch and a connection last, and how many calls there may be (PROMISES §7, P12)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient
from imageedit_server.access import watches
from imageedit_server.access.watches import WatchBudget
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.editing import Tasks
from imageedit_server.rpc import border, health, server
from tests.rpc.calls import assert_presentable, call, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, open_channel, serving
from tests.rpc.waiting import PATIENCE_SECONDS, eventually
from tests.rpc.world import create, upload

AGE, GRACE = "grpc.max_connection_age_ms", "grpc.max_connection_age_grace_ms"
OVER = {task_pb2.Task.STATE_SUCCEEDED, task_pb2.Task.STATE_CANCELLED}


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with the scripted provider."""
    async with serving(tmp_path, SCRIPTED) as served:
        yield served


# Old connections


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The connection of every watch; connections and watches get old soon."""
    found: list[str] = []
    spend = WatchBudget.spend

    @contextmanager
    def noted(self: WatchBudget, connection: str, tenant: str = ""):
        found.append(connection)
        with spend(self, connection, tenant):
            yield

    monkeypatch.setattr(WatchBudget, "spend", noted)
    monkeypatch.setattr(server, "OPTIONS", tuple({**dict(server.OPTIONS), AGE: 200}.items()))
    monkeypatch.setattr(watches, "LIFE_SECONDS", 0.3)
    return found


async def test_a_watch_goes_on_while_connections_come_and_go(tmp_path: Path, peers: list[str]) -> None:
    """P9 through the shipped client: every event once, over several connections, and then the end."""
    async with serving(tmp_path, SCRIPTED) as served, AsyncClient(served.server.grpc_address) as client:
        task = await client.edit_image("x", [PNG], model="scripted/never")
        seen: list[task_pb2.TaskEvent] = []

        async def follow() -> None:
            async for event in client.watch(task.task_id):
                seen.append(event)

        following = asyncio.ensure_future(follow())
        await eventually(lambda: len(set(peers)) >= 3)
        await client.cancel(task.task_id)
        await asyncio.wait_for(following, PATIENCE_SECONDS)
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert [event.task.state in OVER for event in seen] == [*[False] * (len(seen) - 1), True]


@pytest.mark.usefixtures("peers")
async def test_an_old_watch_ends_with_its_last_seq(tmp_path: Path) -> None:
    """P12: before its connection is closed under it, which would leave its client without one."""
    async with serving(tmp_path, SCRIPTED) as served:
        task = await create(served, await upload(served, PNG), model="scripted/never")
        rpc = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id), timeout=PATIENCE_SECONDS)
        seqs = []
        with suppress(grpc.aio.AioRpcError):
            async for response in rpc:
                seqs.append(response.event.seq)
        outcome = await outcome_of(rpc)
        assert (outcome.code.name, outcome.reason) == ("UNAVAILABLE", "DRAINING")
        assert_presentable(outcome)
        assert int(outcome.trailer["last-seq"]) == seqs[-1]
        await eventually(lambda: not served.feed.is_followed)


def test_a_connection_is_closed_only_after_its_watches_have_ended() -> None:
    """The youngest of them began just before it got old."""
    options = dict(server.OPTIONS)
    assert 0 < options[AGE] <= 3_600_000
    assert options[GRACE] > 1000 * watches.LIFE_SECONDS
    assert all(0.9 <= watches.lifetime() / watches.LIFE_SECONDS <= 1 for _ in range(100))
    assert len({watches.lifetime() for _ in range(100)}) > 90  # a crowd does not come back at one moment


# Calls without a deadline


async def test_a_call_without_a_deadline_gets_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has its own keeps it, also when it is longer."""
    answer, get = asyncio.Event(), Tasks.get
    monkeypatch.setattr(border, "UNARY_SECONDS", 0.2)

    async def held(self: Tasks, tenant: str, task_id: str) -> Any:
        await answer.wait()
        return await get(self, tenant, task_id)

    monkeypatch.setattr(Tasks, "get", held)
    request = pb.GetTaskRequest(task_id="x")
    patient = served.stub.GetTask(request, timeout=PATIENCE_SECONDS)
    with pytest.raises(grpc.aio.AioRpcError) as late:
        await asyncio.wait_for(served.stub.GetTask(request), PATIENCE_SECONDS)
    assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert not patient.done()
    answer.set()
    assert (await outcome_of(patient)).reason == "TASK_NOT_FOUND"


async def test_only_the_deadline_is_told_as_one(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time that ran out inside of us is a defect like any other."""

    async def broken(*_args: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(Tasks, "get", broken)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await served.stub.GetTask(pb.GetTaskRequest(task_id="x"))
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_streams_have_no_deadline_of_a_unary_call(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A watch and an upload go on while a unary call's time runs out."""
    monkeypatch.setattr(border, "UNARY_SECONDS", 0.01)
    task = await served.stub.EditImage(
        pb.EditImageRequest(prompt="x", images=[{"content": PNG}], model="scripted/never"),
        timeout=PATIENCE_SECONDS,
    )
    watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task.task_id))
    await watch.read()
    sent = asyncio.Event()

    async def slowly() -> AsyncIterator[pb.UploadImageRequest]:
        yield pb.UploadImageRequest(info={})
        await sent.wait()
        yield pb.UploadImageRequest(chunk=PNG)

    uploading = served.stub.UploadImage(slowly())
    monkeypatch.setattr(Tasks, "get", _never)
    with pytest.raises(grpc.aio.AioRpcError):
        await served.stub.GetTask(pb.GetTaskRequest(task_id="x"))
    sent.set()
    assert (await uploading).image.size_bytes == len(PNG)
    assert not watch.done()
    watch.cancel()


async def _never(*_args: object) -> None:
    await asyncio.Event().wait()


# How many calls


async def test_the_last_wall_refuses_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RESOURCE_EXHAUSTED of the library's own; a place is free again when a call ends."""
    monkeypatch.setattr(server, "MAX_RPCS", 3)
    async with serving(tmp_path, SCRIPTED) as served:
        task = await create(served, await upload(served, PNG), model="scripted/never")
        open_watches = [served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id)) for _ in range(3)]
        for watch in open_watches:
            await watch.read()
        refused = await call(served.channel, "ListModels", pb.ListModelsRequest())
        assert (refused.code.name, refused.domain) == ("RESOURCE_EXHAUSTED", "")
        open_watches.pop().cancel()

        async def answered() -> bool:
            return bool((await call(served.channel, "ListModels", pb.ListModelsRequest())).responses)

        await eventually(answered)


def test_watches_leave_room_for_calls() -> None:
    """The wall is above what all watches together may take."""
    assert watches.MAX_PER_SERVER + health.MAX_PER_SERVER <= server.MAX_RPCS / 1.5


def test_watches_are_counted_for_the_whole_server_too() -> None:
    """Whatever their tenants and connections."""
    budget = WatchBudget(per_tenant=5, per_server=2)
    with budget.spend("a", "alice"):
        with budget.spend("b", "bob"), pytest.raises(Refusal) as refused, budget.spend("c", "carol"):
            pass
        assert refused.value.reason is Reason.WATCH_LIMIT
        assert "server" in refused.value.message
        with budget.spend("c", "carol"):
            pass


# Health


async def test_health_watches_have_a_budget_of_their_own(served: Served) -> None:
    """Strangers may open them without a key: WATCH_LIMIT at once, and everyone else goes on."""
    async with open_channel(served.server.grpc_address) as channel:
        streams = [channel.unary_stream(WATCH, bytes, bytes)(b"") for _ in range(health.MAX_PER_CONNECTION)]
        for stream in streams:
            assert await stream.read()
        refused = await outcome_of(channel.unary_stream(WATCH, bytes, bytes)(b""))
        assert (refused.code.name, refused.reason) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT")
        assert_presentable(refused)
        assert await channel.unary_unary(CHECK, bytes, bytes)(b"")
        assert await served.channel.unary_stream(WATCH, bytes, bytes)(b"").read()
        streams.pop().cancel()

        async def watched() -> bool:
            again = channel.unary_stream(WATCH, bytes, bytes)(b"")
            try:
                return bool(await again.read())
            except grpc.aio.AioRpcError:
                return False

        await eventually(watched)


async def test_health_watches_of_all_connections_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody gets more of them by connecting more often; watches of tasks are not counted with them."""
    monkeypatch.setattr(health, "MAX_PER_SERVER", 2)
    async with serving(tmp_path, SCRIPTED) as served, open_channel(served.server.grpc_address) as other:
        streams = [channel.unary_stream(WATCH, bytes, bytes)(b"") for channel in (served.channel, other)]
        for stream in streams:
            assert await stream.read()
        assert (await outcome_of(other.unary_stream(WATCH, bytes, bytes)(b""))).reason == "WATCH_LIMIT"
        task = await create(served, await upload(served, PNG), model="scripted/never")
        assert await served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id)).read()


async def test_names_that_strangers_make_up_are_not_kept() -> None:
    """Each may be as long as a message; all are the same unknown service."""
    told = health.Health(("",))
    context = _Watcher()
    watch = asyncio.ensure_future(told.Watch(HealthCheckRequest(service="x" * 10_000), context))  # type: ignore[arg-type]
    await context.written.wait()
    assert context.statuses == [HealthCheckResponse.SERVICE_UNKNOWN]
    assert set(vars(told)["_server_watchers"]) == {health.UNKNOWN}
    watch.cancel()
    await asyncio.wait([watch])
    assert not vars(told)["_server_watchers"]


class _Watcher:
    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.written = asyncio.Event()

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def write(self, response: HealthCheckResponse) -> None:
        self.statuses.append(response.status)
        self.written.set()


CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
