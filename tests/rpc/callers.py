"""Tenants with keys, and a server that asks for them."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.rpc.serving import SCRIPTED, Served, serving
from tests.servers.places import Place

AUTH = '[auth]\nmode = "api_key"\n'
ALICE, BOB = "imageedit_the-key-of-alice", "imageedit_the-key-of-bob"
KEYS: Mapping[str, Sequence[str]] = {"alice": [ALICE], "bob": [BOB]}


def hash_of(key: str) -> str:
    """What a keys file says of a key."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def write_keys(folder: Path, keys: Mapping[str, Sequence[str]]) -> None:
    """Write the keys file beside the config file, in one step."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        f'"{tenant}" = {[hash_of(key) for key in own]}'.replace("'", '"') for tenant, own in keys.items()
    ]
    new = folder / "keys.new"
    new.write_text("\n".join(lines) + "\n")
    new.replace(folder / "keys.toml")


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    """The metadata of a caller with a key."""
    return (("authorization", f"Bearer {key}"),)


@asynccontextmanager
async def asking(folder: Path, *tables: str) -> AsyncIterator[Served]:
    """Serve for alice and bob; ``tables`` are added to the settings."""
    write_keys(folder, KEYS)
    async with serving(folder, SCRIPTED, AUTH, *tables) as served:
        yield served


class AskingPlace(Place):
    """A place whose server asks for keys."""

    def config(self) -> Path:
        """Write the file, and the keys beside it."""
        path = super().config()
        path.write_text(path.read_text() + AUTH)
        write_keys(self.folder, KEYS)
        return path
