"""A whole server in this process, with everything that the program has: store, doors, engine, workers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from imageedit_server.bootstrap import Server, running
from imageedit_server.engine.restoring import Said
from imageedit_server.settings import load_settings
from tests.servers import read_once  # noqa: F401  its import is its work
from tests.servers.programs import ANY_PORT


@asynccontextmanager
async def serving_here(
    config: Path, data_dir: Path, environment: Mapping[str, str] | None = None, said: Said | None = None
) -> AsyncIterator[Server]:
    """Serve on free ports until the block ends; ``said`` is what its operator says of the data."""
    given = {"listen": ANY_PORT, "http_listen": ANY_PORT, "data_dir": data_dir}
    async with running(load_settings(config, environment or {}, given), said=said) as server:
        yield server
