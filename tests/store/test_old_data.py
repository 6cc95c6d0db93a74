"""What schema 1 wrote before it was killed: it opens, nothing is lost, what was begun goes on (P1, P3, P7).

Asked through the doors of callers and of the engine, so that any later schema is held against the same words.
"""

import asyncio
import hashlib
import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.core.task import Attempt, Task
from imageedit_server.store.attempts import AttemptKey, called_late, result_urls
from imageedit_server.store.database import Database
from imageedit_server.store.queries import find_task, get_image, get_task
from imageedit_server.store.quotas import Quota, check_task
from tests.contracts.databases import open_sqlite
from tests.data_dirs.opening import SCHEMA_1, OldServing, OldTask, as_seen, opened, serving_old
from tests.rpc.calls import call

TASKS = SCHEMA_1.tasks
OPEN = [name for name, task in TASKS.items() if task.open]
FINISHED = [name for name, task in TASKS.items() if not task.open]
TENANTS = tuple(SCHEMA_1.manifest["api_keys"])
AFTER_THE_WINDOW = timedelta(hours=1)
"""Later than any callback is waited for, and than any retry; no deadline has passed."""
OVERDUE = timedelta(days=2)
"""Later than every deadline, and nothing is old enough to be forgotten."""


def picture() -> bytes:
    """What the vendors made meanwhile: a PNG that was in no data dir."""
    out = io.BytesIO()
    Image.new("RGB", (20, 10), "crimson").save(out, "PNG")
    return out.getvalue()


PICTURE = picture()
PICTURE_ID = f"sha256:{hashlib.sha256(PICTURE).hexdigest()}"


# What was written is still there


async def test_the_manifest_has_every_state_and_stage() -> None:
    """Else the other tests would prove less than they say."""
    assert {task["state"] for task in TASKS.values()} == {
        *("QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED")
    }
    stages = {task["stage"] for task in TASKS.values() if task["state"] == "RUNNING"}
    assert stages == {"PREPARING", "SUBMITTING", "WAITING", "SUBMIT_UNKNOWN", "DOWNLOADING"}
    assert {attempt["outcome"] for task in TASKS.values() for attempt in task["attempts"]} == {
        *("IN_FLIGHT", "ACCEPTED", "NOT_PROCESSED", "UNKNOWN", "SUCCEEDED", "FAILED")
    }
    assert any(task["leased"] for task in TASKS.values())


async def test_what_happened_last_is_in_the_log_alone(tmp_path: Path) -> None:
    """So that opening the copy is the recovery of a log that nobody had checkpointed."""
    data_dir = opened(tmp_path)
    (data_dir / "imageedit.sqlite3-wal").unlink()
    async with open_sqlite(data_dir) as database:
        for name in OPEN:
            assert await database.read(get_task, TASKS[name].tenant, TASKS[name].task_id) is None
        assert (await database.read(find_task, TASKS["ok-two"].task_id)).seq == TASKS["ok-two"]["seq"]


async def test_every_task_stands_where_it_stood(tmp_path: Path) -> None:
    """Its state, its times, and every fact about its attempts."""
    async with open_sqlite(opened(tmp_path)) as database:
        for old in TASKS.values():
            task = await database.read(find_task, old.task_id)
            assert _standing(task) == {name: old[name] for name in _standing(task)}, old.name
            attempts = [await _facts(database, task, attempt) for attempt in task.status.attempts]
            assert attempts == old["attempts"], old.name
        waiting = [old.task_id for old in TASKS.values() if not old.open and old["not_before"]]
        assert waiting == [TASKS["kie-called-back"].task_id]
        assert await database.read(called_late) == waiting


def _standing(task: Task) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "tenant": task.tenant,
        "request_id": task.request.request_id,
        "state": task.status.state.value,
        "stage": task.status.stage.value if task.status.stage else None,
        "seq": task.seq,
        "create_time": task.create_time.isoformat(),
        "deadline": task.deadline.isoformat(),
    }


async def _facts(database: Database, task: Task, attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "provider": attempt.provider,
        "outcome": attempt.outcome.value,
        "billing": attempt.billing.value,
        "vendor_task_id": attempt.vendor_task_id,
        "vendor_request_id": attempt.vendor_request_id,
        "error": attempt.error.reason.value if attempt.error else None,
        "submit_time": attempt.submit_time.isoformat(),
        "end_time": attempt.end_time.isoformat() if attempt.end_time else None,
        "result_urls": list(await database.read(result_urls, AttemptKey(task.task_id, attempt.number))),
        "late_images": [image.image_id for image in attempt.late_images],
    }


async def test_every_event_is_handed_out_as_before(tmp_path: Path) -> None:
    """Later servers may say more of a task than the one of then, never something else."""
    async with serving_old(tmp_path, PICTURE) as serving:
        for old in TASKS.values():
            seen: list[dict[str, Any]] = []
            async for event in serving.events(old):
                seen.append(as_seen(event))
                if len(seen) == old["seq"]:
                    break
            for now, then in zip(seen, old.events(), strict=True):
                _holds_all(now, then, old.name)


def _holds_all(now: Any, then: Any, where: str) -> None:
    if isinstance(then, dict):
        for name, value in then.items():
            assert name in now, f"{where}.{name}"
            _holds_all(now[name], value, f"{where}.{name}")
    elif isinstance(then, list):
        assert len(now) == len(then), where
        for index, value in enumerate(then):
            _holds_all(now[index], value, f"{where}[{index}]")
    else:
        assert now == then, where


async def test_every_image_is_there_byte_for_byte_for_its_tenant_alone(tmp_path: Path) -> None:
    """Those that no task uses, too."""
    images = SCHEMA_1.manifest["images"]
    owned = {(image["tenant"], image["image_id"]) for image in images}
    used = {(task.tenant, image_id) for task in TASKS.values() for image_id in task["images"]}
    assert {tenant for tenant, _ in owned - used} == set(TENANTS)
    async with serving_old(tmp_path, PICTURE) as serving:
        for image in images:
            content, info = await _downloaded(serving, image["tenant"], image["image_id"])
            assert f"sha256:{hashlib.sha256(content).hexdigest()}" == image["image_id"]
            assert (info.media_type, info.width, info.height) == (
                *(image["media_type"], image["width"], image["height"]),
            )
            assert len(content) == info.size_bytes == image["size_bytes"]
        for tenant in TENANTS:
            for image_id in {image["image_id"] for image in images} - {
                each for owner, each in owned if owner == tenant
            }:
                request = pb.DownloadImageRequest(image_id=image_id)
                refused = await serving.call(tenant, "DownloadImage", request)
                assert refused.reason == "IMAGE_NOT_FOUND"


async def _downloaded(serving: OldServing, tenant: str, image_id: str) -> tuple[bytes, Any]:
    outcome = await serving.call(tenant, "DownloadImage", pb.DownloadImageRequest(image_id=image_id))
    assert outcome.code is grpc.StatusCode.OK, (image_id, outcome)
    first, *rest = outcome.responses
    assert isinstance(first, pb.DownloadImageResponse)
    return b"".join(each.chunk for each in rest if isinstance(each, pb.DownloadImageResponse)), first.info


async def test_what_is_known_of_an_image_is_kept(tmp_path: Path) -> None:
    """Also what only the engine asks for: whether it is transparent, and upright."""
    async with open_sqlite(opened(tmp_path)) as database:
        for row in SCHEMA_1.manifest["images"]:
            image = await database.read(get_image, row["tenant"], row["image_id"])
            assert image is not None
            assert (image.transparency.value, image.upright) == (row["transparency"], bool(row["upright"]))


async def test_a_request_id_still_stands_for_its_task(tmp_path: Path) -> None:
    """The same request makes nothing new; another one under its request_id is refused (P3)."""
    rows = {(row["tenant"], row["request_id"]): row["task"] for row in SCHEMA_1.manifest["idempotency"]}
    assert len(rows) == len(TASKS)
    async with serving_old(tmp_path, PICTURE) as serving:
        for old in TASKS.values():
            request: Any = old.request()
            assert rows[old.tenant, request.request_id] == old.task_id
            again = await serving.call(old.tenant, old["method"], request)
            assert again.code is grpc.StatusCode.OK, (old.name, again)
            assert _task_of(again.responses[0]).task_id == old.task_id
            request.labels["another"] = "one"
            other = await serving.call(old.tenant, old["method"], request)
            assert other.reason == "REQUEST_ID_REUSED", (old.name, other)
        for tenant in TENANTS:
            listed = await serving.call(tenant, "ListTasks", pb.ListTasksRequest(page_size=1000))
            expected = {old.task_id for old in TASKS.values() if old.tenant == tenant}
            assert {task.task_id for task in _tasks_of(listed.responses[0])} == expected


def _task_of(response: Any) -> task_pb2.Task:
    task: task_pb2.Task = response.task
    return task


def _tasks_of(response: Any) -> list[task_pb2.Task]:
    return list(response.tasks)


async def test_how_much_each_tenant_uses_is_kept(tmp_path: Path) -> None:
    """To the last task and byte: with room for one more there is no refusal, with none there is (F88)."""
    async with open_sqlite(opened(tmp_path)) as database:
        for row in SCHEMA_1.manifest["usage"]:
            tenant, queued, stored = row["tenant"], row["queued_tasks"], row["stored_bytes"]
            more = Quota(queued_tasks=queued + 1, stored_bytes=stored + 1)
            await database.read(check_task, tenant, more)
            for full in (replace(more, queued_tasks=queued), replace(more, stored_bytes=stored)):
                with pytest.raises(Refusal) as refused:
                    await database.read(check_task, tenant, full)
                assert refused.value.reason is Reason.QUOTA_EXCEEDED


async def test_a_page_token_goes_on_where_its_list_stopped(tmp_path: Path) -> None:
    """The key that seals it is in the data dir."""
    page = SCHEMA_1.manifest["page"]
    request = pb.ListTasksRequest(states=page["states"], page_size=1000, page_token=page["token"])
    async with serving_old(tmp_path, PICTURE) as serving:
        listed = await serving.call(page["tenant"], "ListTasks", request)
        assert [task.task_id for task in _tasks_of(listed.responses[0])] == page["rest"]
        [stranger] = set(TENANTS) - {page["tenant"]}
        assert (await serving.call(stranger, "ListTasks", request)).fields == ("page_token",)


async def test_a_key_opens_its_tenants_tasks_and_no_others(tmp_path: Path) -> None:
    """Keys are kept beside the data dir, as the hashes that they were written as."""
    async with serving_old(tmp_path, PICTURE) as serving:
        for old in TASKS.values():
            assert (await serving.get(old)).task_id == old.task_id
            [stranger] = set(TENANTS) - {old.tenant}
            request = pb.GetTaskRequest(task_id=old.task_id)
            assert (await serving.call(stranger, "GetTask", request)).reason == "TASK_NOT_FOUND"
        wrong = [("authorization", "Bearer imageedit_another")]
        outcome = await call(serving.channel, "ListTasks", pb.ListTasksRequest(), metadata=wrong)
        assert outcome.code is grpc.StatusCode.UNAUTHENTICATED


# What was begun goes on


async def test_everything_goes_on_from_the_moment_of_the_kill(tmp_path: Path) -> None:
    """What can end ends well; what nobody can know is said to be so; nobody is paid twice."""
    async with serving_old(tmp_path, PICTURE) as serving:
        polled = ("kie-waiting", "kie-downloading", "suitme-waiting")
        for name in polled:
            task = await serving.ended(TASKS[name])
            assert (_state(task), _images(task)) == ("SUCCEEDED", [PICTURE_ID]), name
            assert [_outcome(attempt) for attempt in task.attempts] == ["SUCCEEDED"]
        for name in ("kie-preparing", "slow-submitting", "slow-queued", "slow-queued-globex"):
            assert _state(await serving.ended(TASKS[name])) == "SUCCEEDED", name
        await _unknowable(serving)
        result_gone = await serving.ended(TASKS["relay-downloading"])
        assert _state(result_gone) == "FAILED"
        assert result_gone.error.reason in ADDRESS_OF_THEN
        assert task_pb2.Task.Billing.Name(result_gone.billing) == "BILLING_CHARGED"
        for name, state in (
            ("never", "RUNNING"),
            ("kie-not-processed", "QUEUED"),
            ("kie-resubmit", "RUNNING"),
        ):
            task = await serving.get(TASKS[name])
            assert (_state(task), task.seq) == (state, TASKS[name]["seq"]), name
        assert [charge.model for charge in serving.vendors.kie.ledger] == ["seedream/4.5-edit"]
        assert serving.vendors.charges() == 1  # of kie-preparing, whose attempt had not begun


ADDRESS_OF_THEN = ("PROVIDER_BAD_RESULT", "RESULT_EXPIRED")
"""Why a result is not fetched from the vendor server of then: its address is refused. The other reason is for
the rare day on which a vendor server of today listens on its very port, and has no such file."""


async def _unknowable(serving: OldServing) -> None:
    no_key = await serving.ended(TASKS["gpt-submitting"])
    assert (_state(no_key), no_key.error.reason) == ("FAILED", "SUBMIT_OUTCOME_UNKNOWN")
    parked = await serving.reached(
        TASKS["kie-submitting"], lambda task: task.stage == task_pb2.Task.STAGE_SUBMIT_UNKNOWN
    )
    assert _state(parked) == "RUNNING"


async def test_a_callback_of_then_brings_back_the_id_that_nobody_had_heard(tmp_path: Path) -> None:
    """Its token was in a URL that only the vendor knows; the data dir has the hash (F8)."""
    async with serving_old(tmp_path, PICTURE) as serving:
        for name in ("kie-unknown", "kie-resubmit"):
            [known] = [
                each for each in SCHEMA_1.manifest["vendor_tasks"] if each["task_id"] == TASKS[name].task_id
            ]
            assert await serving.vendors.kie.call_back(known["vendor_task_id"]) == 200
            task = await serving.ended(TASKS[name])
            assert (_state(task), _images(task)) == ("SUCCEEDED", [PICTURE_ID])
            [attempt] = task.attempts
            assert attempt.vendor_task_id == known["vendor_task_id"]


async def test_the_result_of_a_callback_that_waited_is_collected(tmp_path: Path) -> None:
    """The task had ended and does not change; what came of it is kept with its attempt (P6)."""
    old = TASKS["kie-called-back"]
    async with serving_old(tmp_path, PICTURE) as serving:
        task = await _collected(serving, old)
        assert (_state(task), task.seq) == ("CANCELLED", old["seq"])
        [attempt] = task.attempts
        assert [image.image_id for image in attempt.late_images] == [PICTURE_ID]
        assert _outcome(attempt) == "SUCCEEDED"
        content, _ = await _downloaded(serving, old.tenant, PICTURE_ID)
        assert content == PICTURE
        [kept] = TASKS["kie-late"]["attempts"]
        late = (await serving.get(TASKS["kie-late"])).attempts[0].late_images
        assert [image.image_id for image in late] == kept["late_images"]


async def _collected(serving: OldServing, old: OldTask) -> task_pb2.Task:
    async with asyncio.timeout(60):
        while True:  # nobody is told of a late result
            task = await serving.get(old)
            if task.attempts[0].late_images:
                return task
            await asyncio.sleep(0.01)


async def test_what_waited_for_its_time_goes_on_when_that_has_come(tmp_path: Path) -> None:
    """After an hour: the windows for callbacks have closed, and a retry is due."""
    async with serving_old(tmp_path, PICTURE, later=AFTER_THE_WINDOW) as serving:
        given_up = await serving.ended(TASKS["kie-unknown"])
        assert (_state(given_up), given_up.error.reason) == ("FAILED", "SUBMIT_OUTCOME_UNKNOWN")
        for name, first in (("kie-resubmit", "UNKNOWN"), ("kie-not-processed", "NOT_PROCESSED")):
            task = await serving.ended(TASKS[name])
            assert _state(task) == "SUCCEEDED", name
            assert [_outcome(attempt) for attempt in task.attempts] == [first, "SUCCEEDED"]


UNKNOWN = ("gpt-submitting", "kie-submitting", "kie-unknown", "kie-resubmit")
"""Paid calls of which nobody knows how they ended."""


async def test_what_is_overdue_when_it_is_opened_ends_so_truthfully(tmp_path: Path) -> None:
    """On any later day nothing is begun, and the reason is the doubt where there is one (DESIGN §4)."""
    async with serving_old(tmp_path, PICTURE, later=OVERDUE) as serving:
        for name in OPEN:
            task = await serving.ended(TASKS[name])
            assert (_state(task), task.error.reason) == ("FAILED", _reason_overdue(TASKS[name])), name
        assert serving.vendors.charges() == 0


def _reason_overdue(old: OldTask) -> str:
    if old.name in UNKNOWN:
        return "SUBMIT_OUTCOME_UNKNOWN"
    if old["state"] == "QUEUED" and old["attempts"]:  # it waited to be tried again
        return str(old["attempts"][-1]["error"])
    return "DEADLINE_EXCEEDED"


async def test_what_had_ended_is_as_it_was_however_late_it_is_opened(tmp_path: Path) -> None:
    """A finished task never changes."""
    async with serving_old(tmp_path, PICTURE, later=OVERDUE) as serving:
        for name in FINISHED:
            task = await serving.get(TASKS[name])
            assert (_state(task), task.seq) == (TASKS[name]["state"], TASKS[name]["seq"])


def _state(task: task_pb2.Task) -> str:
    return task_pb2.Task.State.Name(task.state).removeprefix("STATE_")


def _outcome(attempt: task_pb2.Attempt) -> str:
    return task_pb2.Attempt.Outcome.Name(attempt.outcome).removeprefix("OUTCOME_")


def _images(task: task_pb2.Task) -> list[str]:
    return [image.image_id for image in task.images]
