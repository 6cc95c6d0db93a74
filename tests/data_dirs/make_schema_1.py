"""Makes ``schema_1``: the data dir of a real server that was killed with work of every kind in hand.

``python -m tests.data_dirs.make_schema_1 FOLDER`` writes ``schema_1.tar.xz``, ``schema_1.keys.toml`` and the
manifest ``schema_1.json``. Two lives: the first ends with SIGTERM, which brings the whole log into the
database file; the second one with SIGKILL, so that everything since is in the log alone.
"""

import asyncio
import hashlib
import io
import json
import re
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from PIL import Image

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_server.bootstrap import running
from imageedit_server.settings import load_settings
from tests.servers.config import Table, base_tables, write_config
from tests.servers.doorway import Doorway, doorway
from tests.servers.processes import Server, Servers
from tests.vendors import serving
from tests.vendors.kie import behaviours as kie
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai import behaviours as openai
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

NAME = "schema_1"
DATABASE = "imageedit.sqlite3"
KEYS = {tenant: f"imageedit_test-only-key-of-{tenant}" for tenant in ("acme", "globex")}
"""Test-only. Nothing else knows them."""
PATIENCE_SECONDS = 90.0
SEEDREAM = "seedream/4.5-edit"
NEVER_DONE = ("generating",) * 100_000
DAY = {"seconds": 86_400}


def picture(colour: str, size: tuple[int, int] = (24, 24), mode: str = "RGB") -> bytes:
    """A small PNG."""
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


@dataclass
class Vendors:
    """Every vendor that the server knows; they outlive it."""

    kie: KieVendor = field(
        default_factory=lambda: KieVendor(picture_side=24, states=(*NEVER_DONE, "success"))
    )
    suitme: SuitmeVendor = field(default_factory=lambda: SuitmeVendor(picture_side=24))
    relay: OpenaiVendor = field(default_factory=lambda: OpenaiVendor(personality=Personality.RELAY))
    gpt: OpenaiVendor = field(default_factory=OpenaiVendor)

    def urls(self) -> list[str]:
        """Every base URL."""
        of_kie = [self.kie.api_url, self.kie.upload_url, self.kie.result_url]
        return [*of_kie, self.suitme.url, self.relay.url, self.gpt.url]


def tables_of(vendors: Vendors, public_url: str) -> dict[str, Table]:
    """Return the server's settings."""
    quick = {"poll_seconds": [0.2, 0.2, 0.2], "max_submits": ""}
    tables = base_tables(public_url=public_url, allow=[public_url, *vendors.urls()], concurrency=64)
    tables["server"] = {
        **tables["server"],
        "default_model": "scripted/ok",
        "default_model_edit_model": "scripted/ok",
    }
    openai_table = {"adapter": "openai", "max_submits": "", "submit_seconds": 600}
    return {
        **tables,
        "auth": {"mode": "api_key", "keys_file": f"{NAME}.keys.toml"},
        "providers.scripted": {"adapter": "scripted", "steps": 1},
        "providers.slow": {"adapter": "scripted", "seconds": 3600, "steps": 1, "concurrency": 1},
        "providers.kie": {
            "adapter": "kie",
            "base_url": vendors.kie.api_url,
            "upload_url": vendors.kie.upload_url,
            "api_key": vendors.kie.api_key,
            "submit_seconds": 600,
            **quick,
        },
        "providers.suitme": {
            "adapter": "suitme",
            "base_url": vendors.suitme.url,
            "api_key": vendors.suitme.api_key,
            **quick,
        },
        "providers.relay": {
            **openai_table,
            "base_url": vendors.relay.url,
            "api_key": vendors.relay.api_key,
            "models": {"relay/model": "relay-image"},
            "rules": "relay",
            "response_format": "url",
        },
        "providers.gpt": {
            **openai_table,
            "base_url": vendors.gpt.url,
            "api_key": vendors.gpt.api_key,
            "models": {"gpt/model": "gpt-image-2"},
            "rules": "gpt-image",
        },
    }


def write_keys(folder: Path) -> None:
    """Write the keys file."""
    hashes = {tenant: hashlib.sha256(key.encode()).hexdigest() for tenant, key in KEYS.items()}
    lines = [f'{tenant} = ["sha256:{sha256}"]\n' for tenant, sha256 in hashes.items()]
    (folder / f"{NAME}.keys.toml").write_text("".join(lines))


class Caller:
    """Calls the server and remembers what it asked for."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address)
        self._stub: Any = ImageEditServiceStub(self._channel)
        self.made: dict[str, dict[str, Any]] = {}

    async def aclose(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def call(self, tenant: str, method: str, request: Any) -> Any:
        """Call a method that answers once."""
        return await getattr(self._stub, method)(request, metadata=metadata_of(tenant))

    async def upload(self, tenant: str, content: bytes) -> str:
        """Upload a picture; return its id."""
        return str((await self.call(tenant, "UploadImage", _chunks(content))).image.image_id)

    async def make(self, name: str, tenant: str, request: Message) -> str:
        """Create a task under the request_id ``name``; return its id."""
        request.request_id = name  # type: ignore[attr-defined]
        method = type(request).__name__.removesuffix("Request")
        task_id = str((await self.call(tenant, method, request)).task.task_id)
        self.made[name] = {
            "name": name,
            "tenant": tenant,
            "task_id": task_id,
            "method": method,
            "request": MessageToDict(request),
        }
        return task_id

    async def until(
        self, name: str, where: str, holds: Callable[[task_pb2.Task], object] = bool
    ) -> task_pb2.Task:
        """Wait until a task is in a state or at a stage, and something holds of it."""
        made = self.made[name]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                request = pb.GetTaskRequest(task_id=made["task_id"])
                task: task_pb2.Task = (await self.call(made["tenant"], "GetTask", request)).task
                there = where in (_state(task), _stage(task))
                if there and holds(task):
                    return task
                if task.HasField("end_time") and not there:
                    raise AssertionError(f"{name} ended: {task}")
                await asyncio.sleep(0.02)

    async def cancel(self, name: str) -> None:
        """Cancel a task."""
        made = self.made[name]
        await self.call(made["tenant"], "CancelTask", pb.CancelTaskRequest(task_id=made["task_id"]))


def metadata_of(tenant: str) -> list[tuple[str, str]]:
    """What proves who calls."""
    return [("authorization", f"Bearer {KEYS[tenant]}")]


async def _chunks(content: bytes) -> AsyncIterator[pb.UploadImageRequest]:
    yield pb.UploadImageRequest(info=image_pb2.UploadImageInfo())
    yield pb.UploadImageRequest(chunk=content)


def _state(task: task_pb2.Task) -> str:
    return task_pb2.Task.State.Name(task.state).removeprefix("STATE_")


def _stage(task: task_pb2.Task) -> str:
    return task_pb2.Task.Stage.Name(task.stage).removeprefix("STAGE_")


def edit(image_id: str, model: str, **more: Any) -> pb.EditImageRequest:
    """Ask for an edit."""
    given = {"prompt": f"{model}, at the sea", "size": "1:1" if model == SEEDREAM else "", **more}
    source = image_pb2.ImageSource(image_id=image_id)
    return pb.EditImageRequest(model=model, images=[source], timeout=DAY, **given)


async def first_life(caller: Caller, vendors: Vendors) -> list[str]:
    """Everything that is finished; return the images that no task uses."""
    photo = await caller.upload("acme", picture("teal"))
    other = await caller.upload("globex", picture("teal"))
    unused = [await caller.upload(tenant, picture("olive")) for tenant in KEYS]
    labels = {"order": "4711", "channel": "shop ü"}
    await caller.make("ok-labels", "acme", edit(photo, "scripted/ok", labels=labels, user_id="user-1"))
    await caller.make("ok-two", "acme", edit(photo, "scripted/ok", n=2, user_id="user-2"))
    await caller.make("ok-labels", "globex", edit(other, "scripted/ok"))  # the same name, another tenant
    caller.made["ok-labels-globex"] = caller.made["ok-labels"] | {"name": "ok-labels-globex"}
    await caller.make("ok-labels", "acme", edit(photo, "scripted/ok", labels=labels, user_id="user-1"))
    await caller.make("refused", "globex", edit(other, "scripted/fail"))
    for name in ("ok-labels", "ok-two", "ok-labels-globex"):
        await caller.until(name, "SUCCEEDED")
    await caller.until("refused", "FAILED")
    await _kie_finished(caller, vendors.kie, photo)
    await _others_finished(caller, vendors, photo, other)
    return unused


async def _kie_finished(caller: Caller, vendor: KieVendor, photo: str) -> None:
    mask = await caller.upload("acme", picture("#ffffff00", mode="RGBA"))
    face = await caller.upload("acme", picture("navy"))
    character = edit(
        photo,
        "ideogram/character-edit",
        n=2,
        mask=image_pb2.ImageSource(image_id=mask),
        reference_images=[image_pb2.ImageSource(image_id=face)],
        ideogram=pb.IdeogramOptions(seed=7),
    )
    await caller.make("kie-character", "acme", character)
    await caller.until("kie-character", "WAITING")
    vendor.finish(vendor.ledger[-1].task_id)
    await caller.until("kie-character", "SUCCEEDED")
    vendor.fail_next("500", "Internal Error, Please try again later.")
    await caller.make("kie-failed", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-failed", "WAITING")
    vendor.finish(vendor.ledger[-1].task_id)
    await caller.until("kie-failed", "FAILED")
    await caller.make("kie-late", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-late", "WAITING")
    await caller.cancel("kie-late")
    vendor.finish(vendor.ledger[-1].task_id)
    assert await vendor.call_back(vendor.ledger[-1].task_id) == 200
    await caller.until("kie-late", "CANCELLED", lambda task: task.attempts[0].late_images)


async def _others_finished(caller: Caller, vendors: Vendors, photo: str, other: str) -> None:
    preview = pb.OpenaiOptions(partial_images=1, output_format="jpeg")
    await caller.make("gpt-preview", "acme", edit(photo, "gpt/model", openai=preview, size="1024x640"))
    assert (await caller.until("gpt-preview", "SUCCEEDED")).previews
    vendors.gpt.misbehave(openai.on_the_wire("hangs up", serving.hang_up))
    await caller.make("gpt-unknown", "globex", edit(other, "gpt/model"))
    await caller.until("gpt-unknown", "FAILED")
    await caller.make("relay-done", "globex", edit(other, "relay/model", size="64x64"))
    await caller.until("relay-done", "SUCCEEDED")
    await caller.make(
        "own-model", "acme", pb.CreateDefaultModelRequest(user_id="user-1", image={"image_id": photo})
    )
    await caller.until("own-model", "SUCCEEDED")
    await caller.make("own-model-edit", "acme", _on(caller, "own-model", model="scripted/ok"))
    await caller.until("own-model-edit", "SUCCEEDED")
    person = task_pb2.BodyProfile(gender="female", height_cm=172.5, age=30)
    made = pb.CreateDefaultModelRequest(
        user_id="user-1",
        image={"image_id": photo},
        model="suitme/model-edit",
        angle="front",
        body_profile=person,
    )
    await caller.make("suitme-model", "acme", made)
    await caller.until("suitme-model", "SUCCEEDED")
    await caller.make("suitme-edit", "acme", _on(caller, "suitme-model", model="suitme/model-edit"))
    await caller.until("suitme-edit", "SUCCEEDED")


def _on(caller: Caller, base: str, **more: Any) -> pb.CreateModelEditRequest:
    base_id = caller.made[base]["task_id"]
    return pb.CreateModelEditRequest(
        user_id="user-1", base_model_task_id=base_id, edit_instructions="a red hat", **more
    )


async def second_life(caller: Caller, vendors: Vendors, images: Mapping[str, str]) -> None:
    """Everything that is under way when the server is killed."""
    photo, other = images["acme"], images["globex"]
    await caller.make("never", "globex", edit(other, "scripted/never"))
    await caller.until("never", "WAITING")
    await caller.make("slow-submitting", "acme", edit(photo, "slow/ok"))
    await caller.until("slow-submitting", "SUBMITTING")
    await caller.make("slow-queued", "acme", edit(photo, "slow/ok", labels={"queue": "1"}))
    await caller.make("slow-queued-globex", "globex", edit(other, "slow/ok"))
    await caller.make("queued-cancelled", "acme", edit(photo, "slow/ok"))
    await caller.cancel("queued-cancelled")
    vendors.gpt.misbehave(openai.on_the_wire("hangs", serving.hang))
    await caller.make("gpt-submitting", "acme", edit(photo, "gpt/model"))
    await caller.until("gpt-submitting", "SUBMITTING")
    vendors.relay.misbehave_at_files(openai.on_the_wire("hangs", serving.hang), None)
    await caller.make("relay-downloading", "globex", edit(other, "relay/model", size="64x64"))
    await caller.until("relay-downloading", "DOWNLOADING")
    vendors.suitme.statuses = ("processing",) * 1000 + ("completed",)
    await caller.make(
        "suitme-waiting", "acme", _on(caller, "suitme-model", model="suitme/model-edit", timeout=DAY)
    )
    await caller.until("suitme-waiting", "WAITING")
    await _kie_under_way(caller, vendors.kie, photo)


async def _kie_under_way(caller: Caller, vendor: KieVendor, photo: str) -> None:
    """The last of these ends with recordInfo of no use, so that nothing moves on before the kill."""
    await caller.make("kie-waiting", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-waiting", "WAITING")
    for name, on_unknown in (("kie-unknown", pb.ON_UNKNOWN_FAIL), ("kie-resubmit", pb.ON_UNKNOWN_RESUBMIT)):
        vendor.misbehave("createTask", kie.on_the_wire("hangs up", serving.hang_up))
        await caller.make(name, "acme", edit(photo, SEEDREAM, on_unknown=on_unknown))
        await caller.until(name, "SUBMIT_UNKNOWN")
    vendor.misbehave("createTask", kie.busy("600"))
    await caller.make("kie-not-processed", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-not-processed", "QUEUED", lambda task: task.attempts)
    vendor.misbehave("createTask", kie.on_the_wire("hangs", serving.hang))
    await caller.make("kie-submitting", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-submitting", "SUBMITTING")
    vendor.misbehave("result", kie.on_the_wire("hangs", serving.hang), None)
    await caller.make("kie-downloading", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-downloading", "WAITING")
    vendor.finish(vendor.ledger[-1].task_id)
    await caller.until("kie-downloading", "DOWNLOADING")
    await caller.make("kie-called-back", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-called-back", "WAITING")
    await caller.cancel("kie-called-back")
    vendor.misbehave("recordInfo", kie.says(500), None)
    vendor.finish(vendor.ledger[-1].task_id)
    assert await vendor.call_back(vendor.ledger[-1].task_id) == 200
    vendor.misbehave("upload", kie.on_the_wire("hangs", serving.hang))
    await caller.make("kie-preparing", "acme", edit(photo, SEEDREAM))
    await caller.until("kie-preparing", "PREPARING")


async def pages(caller: Caller) -> dict[str, Any]:
    """Give the first page of a list, its token, and what must follow."""
    whole = await caller.call("acme", "ListTasks", pb.ListTasksRequest(states=["STATE_SUCCEEDED"]))
    first = await caller.call(
        "acme", "ListTasks", pb.ListTasksRequest(states=["STATE_SUCCEEDED"], page_size=3)
    )
    return {
        "tenant": "acme",
        "states": ["STATE_SUCCEEDED"],
        "page_size": 3,
        "token": first.next_page_token,
        "rest": [task.task_id for task in whole.tasks][3:],
    }


# The manifest


def rows(folder: Path) -> dict[str, Any]:
    """Read a copy's rows as they are."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        with closing(sqlite3.connect(Path(copy) / DATABASE)) as connection:
            connection.row_factory = sqlite3.Row
            tables = ("task", "task_event", "attempt", "image", "task_image", "idempotency", "usage")
            return {
                table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables
            }


def time_of(micros: int | None) -> str | None:
    """Write a time of the tables as people read it, to the microsecond."""
    if micros is None:
        return None
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)).isoformat()


def task_entries(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the rows say of each task."""
    for task in found["task"]:
        events = [row for row in found["task_event"] if row["task"] == task["number"]]
        last = json.loads(events[-1]["status"])
        yield {
            "task_id": task["task_id"],
            "tenant": task["tenant"],
            "request_id": json.loads(task["request"])["request_id"],
            "state": task["state"],
            "stage": last.get("stage"),
            "seq": task["seq"],
            "create_time": time_of(task["create_time"]),
            "deadline": time_of(task["deadline"]),
            "not_before": time_of(task["not_before"]) if task["not_before"] else None,
            "leased": task["lease_until"] is not None,
            "attempts": [_attempt(row) for row in found["attempt"] if row["task"] == task["number"]],
            "images": sorted(row["image_id"] for row in found["task_image"] if row["task"] == task["number"]),
        }


def _attempt(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": row["number"],
        "provider": row["provider"],
        "outcome": row["outcome"],
        "billing": row["billing"],
        "vendor_task_id": row["vendor_task_id"] or "",
        "vendor_request_id": row["vendor_request_id"],
        "error": json.loads(row["error"])["reason"] if row["error"] else None,
        "submit_time": time_of(row["submit_time"]),
        "end_time": time_of(row["end_time"]),
        "result_urls": json.loads(row["result_urls"] or "[]"),
        "late_images": [image["image_id"] for image in json.loads(row["late_images"])],
    }


async def event_logs(data_dir: Path, entries: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return each task's events up to the kill, as callers see them, asked of a copy."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shutil.copytree(data_dir, folder / "data")
        write_keys(folder)
        auth = {"mode": "api_key", "keys_file": f"{NAME}.keys.toml"}
        scripted = {"adapter": "scripted"}
        served = {"default_model": "scripted/ok", "default_model_edit_model": "scripted/ok"}
        config = write_config(folder, {"server": served, "auth": auth, "providers.scripted": scripted})
        given = {"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0", "data_dir": folder / "data"}
        async with (
            running(load_settings(config, {}, given)) as server,
            grpc.aio.insecure_channel(server.grpc_address) as channel,
        ):
            stub: Any = ImageEditServiceStub(channel)
            return {entry["task_id"]: _changes(await _events(stub, entry)) for entry in entries}


async def _events(stub: Any, entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    call = stub.WatchTask(
        pb.WatchTaskRequest(task_id=entry["task_id"]), metadata=metadata_of(entry["tenant"])
    )
    async for response in call:
        if response.HasField("event") and response.event.seq <= entry["seq"]:
            events.append(MessageToDict(response.event, preserving_proto_field_name=True))
        if len(events) == entry["seq"]:
            break
    call.cancel()
    return events


def _changes(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say of each event's task only what is other than at the event before; null is what is gone."""
    before: dict[str, Any] = {}
    changes = []
    for event in events:
        task = event["task"]
        changed = {name: value for name, value in task.items() if before.get(name) != value}
        gone = dict.fromkeys(before.keys() - task.keys())
        changes.append(event | {"task": changed | gone})
        before = task
    return changes


def vendor_tasks(vendors: Vendors, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a new vendor server must answer for, with the path of the callback that it was told."""
    of_kie: list[dict[str, Any]] = [
        {
            "provider": "kie",
            "vendor_task_id": charge.task_id,
            "model": charge.model,
            "callback_path": re.sub(r"^http://[^/]+", "", charge.body["callBackUrl"]),
            "number_of_results": len(vendors.kie.tasks[charge.task_id].results),
        }
        for charge in vendors.kie.ledger
    ]
    of_suitme: list[dict[str, Any]] = [
        {"provider": "suitme", "vendor_task_id": task_id, "kind": job.kind}
        for task_id, job in vendors.suitme.jobs.items()
    ]
    tokens = {row["token_sha256"]: row for row in found["attempt"]}
    numbers = {row["number"]: row["task_id"] for row in found["task"]}
    for each in of_kie:
        token = str(each["callback_path"]).rpartition("/")[2]
        each["task_id"] = numbers[tokens[hashlib.sha256(token.encode()).hexdigest()]["task"]]
    for each in of_suitme:
        [row] = [row for row in found["attempt"] if row["vendor_task_id"] == each["vendor_task_id"]]
        each["task_id"] = numbers[row["task"]]
    return [*of_kie, *of_suitme]


async def manifest_of(
    data_dir: Path, *, killed_at: datetime, made: Mapping[str, Any], page: Mapping[str, Any], vendors: Vendors
) -> dict[str, Any]:
    """Write down everything that must still be there."""
    found = rows(data_dir)
    entries = list(task_entries(found))
    logs = await event_logs(data_dir, entries)
    by_task = {each["task_id"]: each for each in made.values()}
    numbers = {row["number"]: row["task_id"] for row in found["task"]}
    return {
        "schema": 1,
        "killed_at": killed_at.isoformat(),
        "api_keys": KEYS,
        "page": page,
        "vendor_tasks": vendor_tasks(vendors, found),
        "images": [row | {"create_time": time_of(row["create_time"])} for row in found["image"]],
        "idempotency": [row | {"task": numbers[row["task"]]} for row in found["idempotency"]],
        "usage": found["usage"],
        "tasks": [
            entry
            | {key: by_task[entry["task_id"]][key] for key in ("name", "method", "request")}
            | {"events": logs[entry["task_id"]]}
            for entry in entries
        ],
    }


# Running it


@asynccontextmanager
async def life(
    servers: Servers, config: Path, data_dir: Path, door: Doorway
) -> AsyncIterator[tuple[Server, Caller]]:
    """Start a server on the data dir; the block must end it."""
    listen = ("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
    server = await servers.run("serve", "--config", str(config), "--data-dir", str(data_dir), *listen)
    await server.ready()
    door.target = server.http
    caller = Caller(server.grpc)
    try:
        yield server, caller
    finally:
        await caller.aclose()
        door.target = ""


def pack(data_dir: Path, archive: Path) -> None:
    """Pack every byte, mode and empty folder, which git would not keep; not who made them."""

    def nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(archive, "w:xz", preset=9) as tar:
        tar.add(data_dir, arcname=data_dir.name, filter=nobodys)


async def make(target: Path) -> None:
    """Make all three."""
    vendors = Vendors()
    async with AsyncExitStack() as stack:
        for vendor in (vendors.kie, vendors.suitme, vendors.relay, vendors.gpt):
            await stack.enter_async_context(vendor)
        door = await stack.enter_async_context(doorway())
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        write_keys(scratch)
        write_keys(target)
        data_dir = scratch / NAME
        config = write_config(scratch, tables_of(vendors, door.url))
        servers = Servers(scratch)
        stack.push_async_callback(servers.kill_all)
        async with life(servers, config, data_dir, door) as (server, caller):
            await first_life(caller, vendors)
            page, made = await pages(caller), caller.made
            server.send(signal.SIGTERM)
            assert await server.ended() == 0, server.stderr()
        async with life(servers, config, data_dir, door) as (server, caller):
            caller.made.update(made)
            images = {tenant: await caller.upload(tenant, picture("teal")) for tenant in KEYS}
            await second_life(caller, vendors, images)
            await server.kill()
            killed_at = datetime.now(UTC)
        (data_dir / f"{DATABASE}-shm").unlink()  # an index of the log, which every opening makes anew
        pack(data_dir, target / f"{NAME}.tar.xz")
        manifest = await manifest_of(
            data_dir, killed_at=killed_at, made=caller.made, page=page, vendors=vendors
        )
        text = json.dumps(manifest, indent=1, ensure_ascii=False)
        (target / f"{NAME}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(make(Path(sys.argv[1])))
