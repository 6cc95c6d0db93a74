"""Who is compared: this service, the proxies of others, and the vendor with no one before it.

All of them stand before one vendor on loopback, which answers at once. A proxy that is not there, or through
which no edit goes, raises ``LeftOut`` with a sentence that says so.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from tests.bench.bench import Bench, connected
from tests.bench.peers.client import PATH, Edit, http_caller, our_caller
from tests.bench.pictures import Picture
from tests.bench.processes import module, serving
from tests.servers.processes import Server
from tests.servers.programs import PATIENCE_SECONDS

KEY = f"sk-{secrets.token_hex(32)}"
"""LiteLLM's proxy does not start without a strong one."""
MODEL = "gpt-image-1"
OURS, ALONE = "imageedit", "the vendor alone"

PROVIDER = """
[providers.{key}]
adapter = "openai"
base_url = "http://{vendor}"
path = "/{key}{path}"
rules = "relay"
api_key = "{secret}"
[providers.{key}.models]
"{key}/image" = "{model}"
"""


class LeftOut(Exception):
    """A contender is not measured; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """Who serves edits. ``caller`` opens a caller, who asks for edits of one picture."""

    name: str
    server: Server
    caller: Callable[[Picture], AbstractAsyncContextManager[Edit]]


Opening = Callable[[Bench, str, Sequence[Picture]], AbstractAsyncContextManager[Contender]]
"""Starts a contender before the vendor at that address."""


@asynccontextmanager
async def vendor(bench: Bench, pictures: Sequence[Picture]) -> AsyncIterator[Contender]:
    """Serve the vendor; called directly it is a contender as well."""
    folder = bench.new_folder()
    kept = folder / "pictures"
    kept.mkdir()
    for picture in pictures:
        (kept / picture.key).write_bytes(picture.content)
    async with serving(module("vendor", str(kept)), folder / "vendor.log", doors=["http"]) as server:

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            return http_caller(server.address, bearer(), MODEL, picture, f"/{picture.key}{PATH}")

        yield Contender(name=ALONE, server=server, caller=caller)


@asynccontextmanager
async def ours(bench: Bench, address: str, pictures: Sequence[Picture]) -> AsyncIterator[Contender]:
    """Serve edits ourselves, a provider a picture."""
    config = "".join(
        PROVIDER.format(key=picture.key, vendor=address, path=PATH, secret=KEY, model=MODEL)
        for picture in pictures
    )
    async with bench.ours(config) as server, connected(server.address) as stub:

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            return our_caller(stub, f"{picture.key}/image", picture)

        yield Contender(name=OURS, server=server, caller=caller)


async def proven(contender: Contender, pictures: Sequence[Picture]) -> Contender:
    """Return the contender when an edit goes through it. Raises ``LeftOut``."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), contender.caller(pictures[0]) as edit:
            await edit()
    except (OSError, EOFError, LookupError, RuntimeError) as error:
        raise LeftOut(f"{contender.name} is left out: no edit goes through it here: {error}") from error
    return contender


def bearer() -> Mapping[str, str]:
    """Return the header with the key, which all of them take."""
    return {"authorization": f"Bearer {KEY}"}
