"""Each import contract breaks when a module does what it forbids."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
SOURCES = ("server", "clients/python", "generated", "tests/tools")

PLANTED = {
    "server/imageedit_server/core/planted.py": "import google, httpx, uvicorn, sqlmodel, grpc, typer",
    "server/imageedit_server/providers/planted.py": "import imageedit_server.images.library",
    "server/imageedit_server/runtime/planted.py": "import httpx",
    "server/imageedit_server/store/planted.py": "import imageedit_server.engine, prometheus_client, sqlite3",
    "server/imageedit_server/web/planted.py": "import imageedit_testing",
    "clients/python/imageedit_client/planted.py": "import imageedit_server",
}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory):
    """What the contracts say of a copy of the house in which every one of them is broken."""
    house = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", house)
    for source in SOURCES:
        shutil.copytree(ROOT / source, house / source)
    for path, text in PLANTED.items():
        (house / path).write_text(text + "\n")
    roots = os.pathsep.join(str(house / source) for source in SOURCES[:3])
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": roots}
    return subprocess.run(
        command, cwd=house, env=environment, capture_output=True, text=True, check=False
    ).stdout


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["name"])
def test_every_contract_can_break(contract, verdict):
    assert f"{contract['name']} BROKEN" in verdict
