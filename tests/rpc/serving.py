"""A whole server in this process on a free port, and what it has stored so far."""

import os
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub
from imageedit_server.bootstrap import Server
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import Kind
from imageedit_server.feed.base import Feed
from imageedit_server.providers.base import Context
from imageedit_server.providers.registry import ADAPTERS
from imageedit_server.providers.scripted import ScriptedAdapter, ScriptedOptions
from tests.rpc.waiting import eventually
from tests.servers.here import serving_here

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

SERVICE = pb.DESCRIPTOR.services_by_name["ImageEditService"]

MIB = 1024 * 1024
MAX_IMAGE_BYTES = 2 * MIB
MAX_PIXELS = 1_000_000

CONFIG = f"""
[server]
default_model = "scripted/ok"
default_model_edit_model = "scripted/ok"

[images]
max_bytes = {MAX_IMAGE_BYTES}
max_pixels = {MAX_PIXELS}
"""

TABLES = ("task", "task_event", "attempt", "image", "idempotency")
MOVING = "state IN ('QUEUED', 'RUNNING') AND request NOT LIKE '%scripted/never%'"
"""Tasks that will change soon."""

SCRIPTED = """
[providers.scripted]
adapter = "scripted"
"""

NARROW = """
[providers.narrow]
adapter = "narrow"
"""


class NarrowAdapter(ScriptedAdapter):
    """Works like the scripted one, but its models have limits to run into."""

    edits_own_bases_only: ClassVar[bool] = True

    def __init__(self, options: ScriptedOptions, context: Context) -> None:
        super().__init__(options, context)
        self.models = [
            Model(
                name="narrow/edit",
                vendor_name="ok",
                provider=context.provider,
                kinds=frozenset({Kind.EDIT_IMAGE}),
                option_family="seedream",
                max_prompt_chars=20,
                max_images=2,
                max_reference_images=1,
                mask=MaskUse.NONE,
                sizes=("64x64", "4:3"),
                max_n=2,
                max_image_bytes=64 * 1024,
                media_types=("image/png",),
            ),
            Model(
                name="narrow/masked",
                vendor_name="ok",
                provider=context.provider,
                kinds=frozenset({Kind.EDIT_IMAGE}),
                max_prompt_chars=1000,
                min_images=2,
                max_images=2,
                mask=MaskUse.REQUIRED,
                max_image_bytes=MIB,
            ),
            Model(
                name="narrow/own-bases",
                vendor_name="ok",
                provider=context.provider,
                kinds=frozenset({Kind.MODEL_EDIT, Kind.DEFAULT_MODEL}),
                max_prompt_chars=20,
                sizes=("4:3",),
                max_image_bytes=MIB,
            ),
        ]


@dataclass(frozen=True)
class Served:
    """A server that serves, a channel to it and its data."""

    server: Server
    channel: grpc.aio.Channel
    data_dir: Path

    @cached_property
    def reader(self) -> sqlite3.Connection:
        """A connection to the server's database that cannot write."""
        return sqlite3.connect(f"file:{self.data_dir}/imageedit.sqlite3?mode=ro", uri=True)

    @property
    def stub(self) -> "ImageEditServiceAsyncStub":
        """The service on the shared channel."""
        return ImageEditServiceStub(self.channel)

    @property
    def feed(self) -> Feed:
        """The feed that wakes watchers."""
        return self.server.feed

    async def stored(self) -> Counter[str]:
        """Count what is kept, once nothing moves: rows of every table and files of the image library."""
        await eventually(lambda: not self.count(f"task WHERE {MOVING}"))
        counts = Counter({table: self.count(table) for table in TABLES})
        counts["files"] = sum(len(names) for _, _, names in os.walk(self.data_dir / "images"))
        return counts

    def count(self, what: str) -> int:
        """Count rows; ``what`` is a table, and a condition if there is one."""
        return int(self.reader.execute(f"SELECT count(*) FROM {what}").fetchone()[0])


@asynccontextmanager
async def serving(
    data_dir: Path, *tables: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Served]:
    """Serve with ``CONFIG`` and ``tables``, which name the providers; only then is ``narrow`` an adapter."""
    ADAPTERS["narrow"] = NarrowAdapter
    try:
        config = _config(data_dir, tables)
        async with AsyncExitStack() as stack:
            serving = serving_here(config, data_dir / "data", environment)
            server = await stack.enter_async_context(serving)
            channel = await stack.enter_async_context(open_channel(server.grpc_address))
            served = Served(server, channel, data_dir / "data")
            stack.callback(served.reader.close)
            yield served
    finally:
        ADAPTERS.pop("narrow", None)


def _config(data_dir: Path, tables: Sequence[str]) -> Path:
    data_dir.mkdir(parents=True, exist_ok=True)
    config = data_dir / "config.toml"
    config.write_text("\n".join((CONFIG, *tables)))
    return config


def open_channel(address: str, *options: tuple[str, int]) -> grpc.aio.Channel:
    """A connection of its own; equal addresses would share one."""
    return grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1), *options])
