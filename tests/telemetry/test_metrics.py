"""The metrics of a whole server: what happened is counted, under labels that stay few."""

import asyncio
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import grpc
import httpx
import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient
from imageedit_server.core.errors import FailureReason
from imageedit_server.engine.breaker import MAX_CONSECUTIVE
from imageedit_server.engine.results import BadResult
from imageedit_server.providers.base import Accepted, Finished, Prepared, Report
from imageedit_server.providers.outcomes import not_processed
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.providers.scripted import ScriptedAdapter
from imageedit_server.runtime.workers import Overran, WorkerDied
from imageedit_server.sandbox.pool import INSPECTION, WorkerPool
from imageedit_server.telemetry import metrics
from imageedit_server.telemetry.metrics import REGISTRY, provider_call
from imageedit_server.web.metrics import FRESH_SECONDS
from tests.rpc.callers import asking
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.waiting import eventually


class Since:
    """What was counted since this was made: the registry is the process's, and others counted before."""

    def __init__(self) -> None:
        self._before = self._all()

    def __call__(self, name: str, **labels: str) -> float:
        key = (f"imageedit_{name}", frozenset(labels.items()))
        return self._all().get(key, 0.0) - self._before.get(key, 0.0)

    @staticmethod
    def _all() -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
        }


def ended_ok(since: Since, method: str) -> bool:
    return since("rpcs_total", method=method, code="OK") == 1


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with the scripted provider."""
    async with serving(tmp_path, SCRIPTED) as served:
        yield served


async def test_an_edit_is_counted_from_the_call_to_the_last_byte(served: Served) -> None:
    """Calls, bytes, the task, its provider's calls and the store's groups."""
    since = Since()
    async with AsyncClient(served.server.grpc_address) as client:
        task = await client.edit_image("make it warmer", [PNG])
        done = await client.wait(task.task_id)
        await client.download(done.images[0].image_id)
    for method in ("UploadImage", "EditImage", "DownloadImage"):
        await eventually(partial(ended_ok, since, method))
        assert since("rpc_seconds_count", method=method) == 1
    assert since("uploaded_bytes_total") == len(PNG)
    assert since("downloaded_bytes_total") == done.images[0].size_bytes
    assert since("tasks_accepted_total", provider="scripted", kind="EDIT_IMAGE") == 1
    ended = {"provider": "scripted", "state": "SUCCEEDED"}
    await eventually(lambda: since("tasks_ended_total", **ended, reason="") == 1)
    assert since("task_seconds_count", **ended) == 1
    for call, outcome in (("prepare", "prepared"), ("submit", "finished"), ("download", "done")):
        labels = {"provider": "scripted", "call": call, "outcome": outcome}
        assert since("provider_call_seconds_count", **labels) == 1, (call, outcome)
    assert since("store_commit_seconds_count") == since("store_wait_seconds_count") > 0
    assert since("store_group_units_sum") >= since("store_group_units_count")


async def test_a_failure_has_its_reason_and_a_refusal_its_code(served: Served) -> None:
    since = Since()
    async with AsyncClient(served.server.grpc_address) as client:
        task = await client.edit_image("x", [PNG], model="scripted/fail")
        failed = await client.wait(task.task_id)
    labels = {"provider": "scripted", "state": "FAILED", "reason": failed.error.reason}
    await eventually(lambda: since("tasks_ended_total", **labels) == 1)
    with pytest.raises(grpc.aio.AioRpcError):
        await served.stub.GetTask(pb.GetTaskRequest(task_id="nothing"))
    await eventually(lambda: since("rpcs_total", method="GetTask", code="NOT_FOUND") == 1)


class UnwellAdapter(ScriptedAdapter):
    """Cannot be reached."""

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        raise not_processed(FailureReason.PROVIDER_UNAVAILABLE, "Nobody is there.")


async def test_an_open_breaker_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the calls that opened it; another provider's stays closed."""
    monkeypatch.setitem(ADAPTERS, "unwell", UnwellAdapter)
    since = Since()
    async with serving(tmp_path, SCRIPTED, '[providers.unwell]\nadapter = "unwell"\n') as served:
        async with AsyncClient(served.server.grpc_address) as client:
            for _ in range(MAX_CONSECUTIVE):
                await client.edit_image("x", [PNG], model="unwell/ok")
        labels = {"provider": "unwell", "call": "submit", "outcome": "not_processed"}
        await eventually(lambda: since("provider_call_seconds_count", **labels) >= MAX_CONSECUTIVE)
        await eventually(lambda: since("breaker_open", provider="unwell") == 1)
        assert since("breaker_open", provider="scripted") == 0


async def test_who_is_not_let_in_is_counted(tmp_path: Path) -> None:
    """Under the method's name when there is one: whatever else strangers ask for is ``other``."""
    since = Since()
    async with asking(tmp_path) as served:
        for path in ("/imageedit.v1.ImageEditService/GetTask", "/canary/Canary"):
            with pytest.raises(grpc.aio.AioRpcError):
                await served.channel.unary_unary(path, bytes, bytes)(b"")
    for method in ("GetTask", "other"):
        assert since("rpcs_total", method=method, code="UNAUTHENTICATED") == 1


async def test_an_open_watch_is_in_flight_until_it_ends_or_its_caller_leaves(served: Served) -> None:
    """Only what happened while it was open counts for its lag."""
    since = Since()
    async with AsyncClient(served.server.grpc_address) as client:
        task = await client.edit_image("x", [PNG], model="scripted/never")
        other = await client.edit_image("x", [PNG], model="scripted/never")
        watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id))
        await watch.read()
        assert since("rpcs_in_flight", method="WatchTask") == 1
        await client.cancel(task.task_id)
        await eventually(lambda: since("rpcs_total", method="WatchTask", code="OK") == 1)
        assert since("watch_lag_seconds_count") >= 1
        again = served.stub.WatchTask(pb.WatchTaskRequest(task_id=other.task_id))
        await again.read()
        again.cancel()
        await eventually(lambda: since("rpcs_in_flight", method="WatchTask") == 0)
        await eventually(lambda: since("rpcs_total", method="WatchTask", code="CANCELLED") == 1)


async def test_the_page_shows_the_backlog_and_no_names(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is open is counted when somebody asks; ids, tenants, prompts and paths are on no page (P26)."""
    monkeypatch.setattr("imageedit_server.web.metrics.FRESH_SECONDS", 0)
    async with AsyncClient(served.server.grpc_address) as client:
        task = await client.edit_image("canary prompt", [PNG], model="scripted/never", user_id="canary-user")
        await eventually(lambda: served.count("task WHERE state = 'RUNNING'") == 1)
    async with httpx.AsyncClient(
        base_url=f"http://{served.server.http_address}", trust_env=False, timeout=60
    ) as http:
        await http.post("/callbacks/canary-provider/canary-token", content=b"{}")
        answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == metrics.CONTENT_TYPE
    assert 'imageedit_tasks_open{provider="scripted",state="RUNNING"} 1.0' in answer.text
    assert 'imageedit_tasks_open{provider="scripted",state="QUEUED"} 0.0' in answer.text
    assert 'imageedit_callbacks_total{result="not accepted"}' in answer.text
    assert re.search(r"imageedit_wal_bytes [1-9]", answer.text)
    assert re.search(r"imageedit_disk_free_bytes [1-9]", answer.text)
    for name in ("canary", task.task_id, str(served.data_dir), "default"):
        assert name not in answer.text


async def test_the_page_says_what_runs_as_prometheus_expects(served: Served) -> None:
    """A gauge that is always 1, with the versions as labels: to be joined to other series."""
    page = metrics.page().decode()
    assert "# TYPE imageedit_build_info gauge\n" in page
    ours = re.findall(r"^imageedit_build_info\{(.*)\} (.*)$", page, re.MULTILINE)
    assert len(ours) == 1
    labels = dict(re.findall(r'(\w+)="([^"]+)"', ours[0][0]))
    assert labels.keys() == {"version", "python", "sqlite"}
    assert ours[0][1] == "1.0"
    assert labels["sqlite"] == sqlite3.sqlite_version


async def test_the_page_is_made_once_however_often_it_is_asked_for(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger at the HTTP door cannot keep the server busy with it."""
    monkeypatch.setattr("imageedit_server.web.metrics.FRESH_SECONDS", 3600 * FRESH_SECONDS)
    page = Mock(return_value=b"x 1\n")
    monkeypatch.setattr(metrics, "page", page)
    async with httpx.AsyncClient(
        base_url=f"http://{served.server.http_address}", trust_env=False, timeout=60
    ) as http:
        answers = await asyncio.gather(*(http.get("/metrics") for _ in range(20)))
    assert {answer.text for answer in answers} == {"x 1\n"}
    assert page.call_count == 1


async def test_a_lost_picture_process_is_counted_by_why() -> None:
    since, pool = Since(), WorkerPool(size=1)
    hasty = pool.within(replace(INSPECTION, wall_seconds=0.1))
    try:
        for workers, work in ((pool, partial(os._exit, 1)), (hasty, partial(time.sleep, 60))):
            with pytest.raises((WorkerDied, Overran)):
                await workers.run(work)
    finally:
        await pool.aclose()
    assert since("workers_lost_total", why="died") == since("workers_lost_total", why="too slow") == 1


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(BadResult("x"), "bad_result"), (OSError(), "error"), (asyncio.CancelledError(), "error")],
)
def test_an_error_of_ours_names_the_outcome_of_a_call(error: BaseException, outcome: str) -> None:
    since = Since()
    with pytest.raises(type(error)), provider_call("p", "poll"):
        raise error
    assert since("provider_call_seconds_count", provider="p", call="poll", outcome=outcome) == 1
