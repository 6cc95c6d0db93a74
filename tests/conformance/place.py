"""Where the conformance vectors are run: a real server, ways to it that break, pictures, a page on it.

Every runner gets the page, ``place.json``, whose form clients/conformance/README.md tells.
"""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imageedit_server.bootstrap import Server
from tests.rpc.callers import ALICE, AUTH, write_keys
from tests.rpc.pictures import PNG, noise
from tests.servers.doorway import Doorway, doorway
from tests.servers.here import serving_here
from tests.servers.programs import ROOT

VECTORS = ROOT / "clients/conformance/vectors.json"
KIB = 1024
CONFIG = f"""
{AUTH}
[providers.scripted]
adapter = "scripted"
steps = 12
"""
PICTURES = {
    "small.png": PNG,
    "large.png": noise(900 * KIB),
    "text.png": b"This is a text and not a picture.",
    "heavy.png": noise(5 * KIB * KIB),
}
CUT_BYTES = 2_000
"""Some events of a task; a client that begins anew at each connection never sees the last one."""
CUT_LATER_BYTES = 400 * KIB
"""One chunk of a download and a half."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """What a runner is told, and what shows that it was there."""

    page: Path
    cut: Doorway
    cut_later: Doorway

    def contents(self) -> Any:
        """Return the page."""
        return json.loads(self.page.read_text(encoding="utf-8"))


@asynccontextmanager
async def conforming(folder: Path) -> AsyncIterator[Place]:
    """Serve for one run of the vectors."""
    write_keys(folder, {"alice": [ALICE]})
    (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving_here(folder / "config.toml", folder / "data"))
        cut = await stack.enter_async_context(doorway(cut_bytes=CUT_BYTES))
        cut_later = await stack.enter_async_context(doorway(cut_bytes=CUT_LATER_BYTES))
        nowhere = stack.enter_context(closing(_bound_and_silent()))
        cut.target = cut_later.target = server.grpc_address
        place = Place(page=folder / "place.json", cut=cut, cut_later=cut_later)
        page = _page(folder / "pictures", server, place, nowhere)
        place.page.write_text(json.dumps(page), encoding="utf-8")
        yield place


def names() -> list[str]:
    """Return what the vectors are called."""
    return [vector["name"] for vector in json.loads(VECTORS.read_text(encoding="utf-8"))]


def _page(pictures: Path, server: Server, place: Place, nowhere: socket.socket) -> dict[str, object]:
    pictures.mkdir()
    for name, content in PICTURES.items():
        (pictures / name).write_bytes(content)
    return {
        "vectors": str(VECTORS),
        "pictures": str(pictures),
        "addresses": {
            "direct": server.grpc_address,
            "cut": place.cut.address,
            "cut_later": place.cut_later.address,
            "nowhere": "{}:{}".format(*nowhere.getsockname()),
        },
        "keys": {"right": ALICE, "wrong": f"{ALICE}x", "none": ""},
    }


def _bound_and_silent() -> socket.socket:
    """Hold a port at which nobody listens."""
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    return held
