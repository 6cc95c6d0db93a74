"""Opens what an older server left behind: copies of its data dir, and today's server on them."""

import asyncio
import json
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import task_pb2
from imageedit_server.bootstrap import running
from imageedit_server.settings import load_settings
from tests.rpc.calls import Outcome, call
from tests.servers.config import Table, base_tables, write_config
from tests.servers.doorway import Doorway, doorway
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

HERE = Path(__file__).parent
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class OldTask:
    """A task as it stood when its server was killed."""

    entry: Mapping[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.entry[key]

    @property
    def name(self) -> str:
        """Its request_id, which the README tells about, with the tenant where two have the same one."""
        return str(self.entry["name"])

    @property
    def task_id(self) -> str:
        """Its id."""
        return str(self.entry["task_id"])

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return str(self.entry["tenant"])

    @property
    def open(self) -> bool:
        """Whether it was unfinished."""
        return self.entry["state"] in ("QUEUED", "RUNNING")

    def request(self) -> Message:
        """Return the request that made it."""
        message: Message = getattr(pb, f"{self.entry['method']}Request")()
        return ParseDict(self.entry["request"], message)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield its events as callers saw them."""
        task: dict[str, Any] = {}
        for event in self.entry["events"]:
            task = {name: value for name, value in (task | event["task"]).items() if value is not None}
            yield event | {"task": task}


class OldData:
    """A data dir that an older server wrote, and the manifest of what is in it."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What must still be readable."""
        text = (HERE / f"{self._name}.json").read_text(encoding="utf-8")
        manifest: dict[str, Any] = json.loads(text)
        return manifest

    @cached_property
    def tasks(self) -> dict[str, OldTask]:
        """Every task, by its name."""
        return {entry["name"]: OldTask(entry) for entry in self.manifest["tasks"]}

    @property
    def killed_at(self) -> datetime:
        """When its server was killed."""
        return datetime.fromisoformat(self.manifest["killed_at"])

    def opened(self, folder: Path) -> Path:
        """Put a copy into ``folder``, byte for byte, and its keys file beside it; return the copy."""
        with tarfile.open(HERE / f"{self._name}.tar.xz") as tar:
            tar.extractall(folder, filter="data")
        shutil.copy(HERE / f"{self._name}.keys.toml", folder)
        return folder / self._name

    def keys_file(self) -> str:
        """Return the name of the keys file beside a copy."""
        return f"{self._name}.keys.toml"


SCHEMA_1 = OldData("schema_1")


def opened(folder: Path) -> Path:
    """Put a copy of what schema 1 wrote into ``folder``; return the data dir."""
    return SCHEMA_1.opened(folder)


class ClockOfThen:
    """A clock that stands at ``start`` when it is made, and goes on as time does."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()

    def now(self) -> datetime:
        """Return the time as if it were still then."""
        return self._start + timedelta(seconds=self._loop.time() - self._since)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop."""
        await asyncio.sleep(max(seconds, 0))


@dataclass
class NewVendors:
    """Vendor servers of today. Those of kie.ai and Suitme know what those of then had taken."""

    kie: KieVendor = field(default_factory=lambda: KieVendor(states=("success",), picture_side=24))
    suitme: SuitmeVendor = field(default_factory=lambda: SuitmeVendor(picture_side=24))
    relay: OpenaiVendor = field(default_factory=lambda: OpenaiVendor(personality=Personality.RELAY))
    gpt: OpenaiVendor = field(default_factory=OpenaiVendor)

    def urls(self) -> list[str]:
        """Every base URL."""
        of_kie = [self.kie.api_url, self.kie.upload_url, self.kie.result_url]
        return [*of_kie, self.suitme.url, self.relay.url, self.gpt.url]

    def adopt(self, old: OldData, public_url: str, picture: bytes) -> None:
        """Know every task of then, all of them finished with this ``picture``."""
        for known in old.manifest["vendor_tasks"]:
            if known["provider"] == "kie":
                url = f"{public_url}{known['callback_path']}"
                results = [picture] * known["number_of_results"]
                self.kie.adopt(known["vendor_task_id"], results, callback_url=url, model=known["model"])
            else:
                self.suitme.adopt(known["vendor_task_id"], picture, kind=known["kind"])

    def charges(self) -> int:
        """How often somebody was paid today."""
        return sum(len(vendor.ledger) for vendor in (self.kie, self.suitme, self.relay, self.gpt))


@dataclass(frozen=True)
class OldServing:
    """Today's server on a copy, and how its callers and vendors reach it."""

    old: OldData
    channel: grpc.aio.Channel
    vendors: NewVendors

    async def call(self, tenant: str, method: str, *requests: Message) -> Outcome:
        """Call a method with a tenant's key."""
        return await call(self.channel, method, *requests, metadata=self.metadata(tenant))

    def metadata(self, tenant: str) -> list[tuple[str, str]]:
        """What proves who calls."""
        return [("authorization", f"Bearer {self.old.manifest['api_keys'][tenant]}")]

    async def get(self, task: OldTask) -> task_pb2.Task:
        """Return a task as it is now."""
        outcome = await self.call(task.tenant, "GetTask", pb.GetTaskRequest(task_id=task.task_id))
        [response] = outcome.responses
        assert isinstance(response, pb.GetTaskResponse)
        return response.task

    async def events(self, task: OldTask) -> AsyncIterator[task_pb2.TaskEvent]:
        """Follow a task from its first event to its end."""
        path = f"/{pb.DESCRIPTOR.services_by_name['ImageEditService'].full_name}/WatchTask"
        watch = self.channel.unary_stream(
            path, pb.WatchTaskRequest.SerializeToString, pb.WatchTaskResponse.FromString
        )(pb.WatchTaskRequest(task_id=task.task_id), metadata=self.metadata(task.tenant))
        try:
            async for response in watch:
                if response.HasField("event"):
                    yield response.event
        finally:
            watch.cancel()

    async def reached(self, task: OldTask, holds: Callable[[task_pb2.Task], object]) -> task_pb2.Task:
        """Follow a task past the kill until something holds of it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for event in self.events(task):
                if event.seq > task["seq"] and holds(event.task):
                    return event.task
        raise AssertionError(f"{task.name} ended before: {await self.get(task)}")

    async def ended(self, task: OldTask) -> task_pb2.Task:
        """Follow a task to its end; return it with what its attempts learnt."""
        await self.reached(task, lambda now: now.HasField("end_time"))
        return await self.get(task)


def as_seen(event: task_pb2.TaskEvent) -> dict[str, Any]:
    """Write an event as the manifest does."""
    return MessageToDict(event, preserving_proto_field_name=True)


@asynccontextmanager
async def serving_old(
    folder: Path, picture: bytes, *, old: OldData = SCHEMA_1, later: timedelta = timedelta(0)
) -> AsyncIterator[OldServing]:
    """Serve a new copy, ``later`` than the kill; every vendor's task of then is finished with ``picture``."""
    data_dir = old.opened(folder)
    vendors = NewVendors()
    async with doorway() as door, vendors.kie, vendors.suitme, vendors.relay, vendors.gpt:
        vendors.adopt(old, door.url, picture)
        config = write_config(folder, _tables(old, vendors, door))
        given = {"listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0", "data_dir": data_dir}
        settings = load_settings(config, {}, given)
        async with running(settings, clock=ClockOfThen(old.killed_at + later)) as server:
            door.target = server.http_address
            async with grpc.aio.insecure_channel(server.grpc_address) as channel:
                yield OldServing(old, channel, vendors)


def _tables(old: OldData, vendors: NewVendors, door: Doorway) -> dict[str, Table]:
    """Return the settings of then, before the vendor servers of today."""
    base = base_tables(public_url=door.url, allow=[door.url, *vendors.urls()])
    models = {"default_model": "scripted/ok", "default_model_edit_model": "scripted/ok"}
    quick = {"poll_seconds": [0.05, 0.05, 0.05], "max_submits": ""}
    kie, suitme, relay, gpt = vendors.kie, vendors.suitme, vendors.relay, vendors.gpt
    return {
        **base,
        "server": {**base["server"], **models},
        "auth": {"mode": "api_key", "keys_file": old.keys_file()},
        "providers.scripted": {"adapter": "scripted"},
        "providers.slow": {"adapter": "scripted", "concurrency": 1},
        "providers.kie": {
            "adapter": "kie",
            "base_url": kie.api_url,
            "upload_url": kie.upload_url,
            "api_key": kie.api_key,
            **quick,
        },
        "providers.suitme": {"adapter": "suitme", "base_url": suitme.url, "api_key": suitme.api_key, **quick},
        "providers.relay": {
            "adapter": "openai",
            "base_url": relay.url,
            "api_key": relay.api_key,
            "models": {"relay/model": "relay-image"},
            "rules": "relay",
            "response_format": "url",
        },
        "providers.gpt": {
            "adapter": "openai",
            "base_url": gpt.url,
            "api_key": gpt.api_key,
            "models": {"gpt/model": "gpt-image-2"},
            "rules": "gpt-image",
        },
    }
