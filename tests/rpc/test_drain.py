"""The drain: nothing new begins, what has begun ends, and the end comes in time (P24)."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import grpc
import httpx
import pytest
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient
from imageedit_server import bootstrap
from imageedit_server.core.charge import BILLED, Charge
from imageedit_server.providers.base import Accepted, Finished, Prepared, Report
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.providers.scripted import ScriptedAdapter
from tests.providers.in_person import InPerson
from tests.rpc.calls import Outcome, call, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.waiting import eventually

SLOW_MACHINE_SECONDS = 100
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE

PAID = """
[providers.paid]
adapter = "paid"
"""


class PaidAdapter(InPerson, ScriptedAdapter):
    """Costs money, and takes until ``answer`` is set."""

    charge: ClassVar[Charge] = BILLED
    called: ClassVar[asyncio.Event]
    answer: ClassVar[asyncio.Event]
    limit_seconds = 30.0

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        self.called.set()
        await self.answer.wait()
        return await super().submit(prepared, report)


@asynccontextmanager
async def paying(tmp_path: Path, drain_seconds: float) -> AsyncIterator[tuple[Served, str]]:
    """A server with a paid call under way, and the id of its task."""
    PaidAdapter.called, PaidAdapter.answer = asyncio.Event(), asyncio.Event()
    ADAPTERS["paid"] = PaidAdapter
    environment = {"IMAGEEDIT_SERVER__DRAIN_SECONDS": str(drain_seconds)}
    try:
        async with serving(tmp_path, SCRIPTED, PAID, environment=environment) as served:
            async with AsyncClient(served.server.grpc_address) as client:
                task = await client.edit_image("x", [PNG], model="paid/ok")
            await PaidAdapter.called.wait()
            yield served, task.task_id
    finally:
        ADAPTERS.pop("paid")


def attempts(task_id: str, served: Served) -> list[tuple[str, str]]:
    """What the store knows of the paid calls of a task: outcome and billing."""
    query = "SELECT outcome, attempt.billing FROM attempt JOIN task ON task = task.number WHERE task_id = ?"
    return list(served.reader.execute(query, [task_id]))


async def test_while_a_paid_call_is_waited_for_nothing_new_begins_and_reads_go_on(tmp_path: Path) -> None:
    """Creates, uploads and watches are sent elsewhere at once; the paid call's result is stored."""
    async with paying(tmp_path, drain_seconds=SLOW_MACHINE_SECONDS) as (served, task_id):
        before = await served.stub.GetTask(pb.GetTaskRequest(task_id=task_id))
        image_id = await uploaded(served)
        draining = asyncio.ensure_future(served.server.drain())
        await eventually(lambda: served.server.draining.begun)
        source = image_pb2.ImageSource(image_id=image_id)
        refused: dict[str, list[Message]] = {
            "EditImage": [pb.EditImageRequest(prompt="x", images=[source])],
            "CreateDefaultModel": [pb.CreateDefaultModelRequest(user_id="u", image=source)],
            "UploadImage": [pb.UploadImageRequest(info={}), pb.UploadImageRequest(chunk=PNG)],
        }
        for method, requests in refused.items():
            outcome = await call(served.channel, method, *requests)
            assert (outcome.code, outcome.reason, outcome.retry_seconds) == (UNAVAILABLE, "DRAINING", 1.0)
        watch = await call(served.channel, "WatchTask", pb.WatchTaskRequest(task_id=task_id))
        assert (watch.code, watch.reason) == (UNAVAILABLE, "DRAINING")
        assert int(watch.trailer["last-seq"]) == before.task.seq
        for method, request in (
            ("GetTask", pb.GetTaskRequest(task_id=task_id)),
            ("ListTasks", pb.ListTasksRequest()),
            ("DownloadImage", pb.DownloadImageRequest(image_id=image_id)),
        ):
            assert (await call(served.channel, method, request)).code is grpc.StatusCode.OK
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            assert (await http.get(f"http://{served.server.http_address}/readyz")).status_code == 503
        assert not draining.done()
        PaidAdapter.answer.set()
        await draining
        assert attempts(task_id, served) == [("SUCCEEDED", "CHARGED")]
        (state,) = served.reader.execute("SELECT state FROM task WHERE task_id = ?", [task_id]).fetchone()
        assert state == "SUCCEEDED"


async def uploaded(served: Served) -> str:
    async with AsyncClient(served.server.grpc_address) as client:
        return (await client.upload(PNG)).image_id


async def test_a_call_under_way_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that was half way through is answered, though the server takes no more calls."""
    monkeypatch.setattr(bootstrap, "CALLS_GRACE_SECONDS", SLOW_MACHINE_SECONDS)
    async with serving(tmp_path, SCRIPTED) as served:
        half, rest = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[pb.UploadImageRequest]:
            yield pb.UploadImageRequest(info={})
            yield pb.UploadImageRequest(chunk=PNG[:10])
            half.set()
            await rest.wait()
            yield pb.UploadImageRequest(chunk=PNG[10:])

        upload = served.stub.UploadImage(slowly())
        await half.wait()
        await call(served.channel, "ListModels", pb.ListModelsRequest())  # behind it on the same connection
        draining = asyncio.ensure_future(served.server.drain())
        await refuses_calls(served)
        rest.set()
        assert (await upload).image.size_bytes == len(PNG)
        await draining


async def refuses_calls(served: Served) -> None:
    async def refused() -> bool:
        return (await call(served.channel, "ListModels", pb.ListModelsRequest())).code is UNAVAILABLE

    await eventually(refused)


async def test_what_never_ends_is_cut_off_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A paid call and an upload that hang: after ``drain_seconds`` and the grace the server goes.

    The store keeps that nobody knows how the paid call ended.
    """
    monkeypatch.setattr(bootstrap, "CALLS_GRACE_SECONDS", 0.2)
    async with paying(tmp_path, drain_seconds=0.3) as (served, task_id):

        async def endless() -> AsyncIterator[pb.UploadImageRequest]:
            yield pb.UploadImageRequest(info={})
            await asyncio.Event().wait()

        upload = served.stub.UploadImage(endless())
        await call(served.channel, "ListModels", pb.ListModelsRequest())
        began = time.monotonic()
        async with asyncio.timeout(SLOW_MACHINE_SECONDS):
            await served.server.drain()
        assert time.monotonic() - began >= 0.3
        outcome: Outcome = await outcome_of(upload)
        assert outcome.code is UNAVAILABLE
        assert attempts(task_id, served) == [("IN_FLIGHT", "MAY_HAVE_BEEN_CHARGED")]
        await eventually(lambda: served.reader.execute("SELECT lease_until FROM task").fetchone() == (None,))
