"""Who is compared: this service, the proxies of others, and the vendor with no one before it.

All of them stand before one vendor on loopback, which answers at once. A proxy that is not there, or through
which no edit goes, raises ``LeftOut`` with a sentence that says so.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

from tests.bench.bench import Bench, connected
from tests.bench.edits import KEY, edit_once, serving_vendor, settings
from tests.bench.peers.client import PATH, Edit, http_caller
from tests.bench.pictures import Picture
from tests.servers.processes import Server
from tests.servers.programs import PATIENCE_SECONDS

MODEL = "gpt-image-1"
OURS, ALONE = "imageedit", "the vendor alone"


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
    async with serving_vendor(bench, *pictures) as server:

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            return http_caller(server.address, bearer(), MODEL, picture, f"/{picture.key}{PATH}")

        yield Contender(name=ALONE, server=server, caller=caller)


@asynccontextmanager
async def ours(bench: Bench, address: str, pictures: Sequence[Picture]) -> AsyncIterator[Contender]:
    """Serve edits ourselves, a provider a picture; all callers share a channel, as users' do."""
    async with bench.ours(settings(address, *pictures)) as server, connected(server.address) as stub:

        def caller(picture: Picture) -> AbstractAsyncContextManager[Edit]:
            return nullcontext(partial(edit_once, stub, picture))

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
