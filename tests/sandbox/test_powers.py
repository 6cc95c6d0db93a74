"""A worker that a picture took over is nothing: all that it reaches for is refused (P34)."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit_server.images.inspection import inspect
from imageedit_server.runtime.workers import WorkersBroken, on_behalf_of
from imageedit_server.sandbox import preloading
from imageedit_server.sandbox.pool import WorkerPool
from tests.images.pictures import PHOTO
from tests.sandbox import powers
from tests.sandbox.powers import POWERS, Target, answer_and_go_on, attempt, harmless, late
from tests.sandbox.processes import gone, workers_of

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"), reason="needs seccomp"
    ),
]

UNCONFINED = """
import json, sys
from tests.sandbox.powers import Target, attempt
print(json.dumps(attempt(Target(**json.loads(sys.argv[1])))))
"""
NOT_EVERYBODYS = {"take a descriptor", "a ring of calls"}
"""What a kernel may keep from an ordinary process too."""


def target(folder: Path, pid: int) -> Target:
    (folder / "empty").mkdir()
    for name in ("secret", "spare"):
        (folder / name).write_text("secret")
    return Target(pid=pid, folder=str(folder))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ends(pool: WorkerPool, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """What each power ended with in a worker, tried on this process, which has the pool."""
    folder = tmp_path_factory.mktemp("in a worker")
    yield await pool.run(attempt, target(folder, os.getpid()))
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["empty", "secret", "spare"]


@pytest.mark.parametrize("power", POWERS)
async def test_a_worker_may_not(ends: dict[str, str], power: str) -> None:
    assert ends[power], f"a worker can: {power}"


@pytest.mark.parametrize("power", sorted(POWERS.keys() - NOT_EVERYBODYS))
async def test_an_ordinary_process_may(unconfined: dict[str, str], power: str) -> None:
    """So that each is refused for being refused, and not for being asked wrongly."""
    assert unconfined[power] == ""


@pytest.fixture(scope="module")
def unconfined(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each power ended with in a process of the same user."""
    aim = target(tmp_path_factory.mktemp("unconfined"), os.getpid())
    ran = subprocess.run(
        [sys.executable, "-c", UNCONFINED, json.dumps(asdict(aim))], capture_output=True, check=True
    )
    ends: dict[str, str] = json.loads(ran.stdout)
    return ends


async def test_who_a_worker_is_is_always_answered(pool: WorkerPool) -> None:
    """What a refused one returned, -1, would be every process there is to whoever kills it."""
    answers = await pool.run(harmless)
    assert all(answer >= 0 for answer in answers.values())
    assert answers["user"] == os.getuid()


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


async def test_a_worker_has_no_capability_and_no_way_to_any(pool: WorkerPool) -> None:
    """Also where the server is root: the capability to trace passes by what is not dumpable."""
    pid = await pool.run(os.getpid)
    status = status_of(pid)
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


async def test_a_worker_writes_into_no_log(capfd: pytest.CaptureFixture[str]) -> None:
    """It could say there what the server says, and fill the disk."""
    pool = WorkerPool(size=1)
    assert await pool.run(os.write, 2, b"forged\n") == 7
    await pool.aclose()
    assert capfd.readouterr() == ("", "")


async def test_a_worker_serves_one_tenant() -> None:
    """One that was taken over answers for nobody else's pictures."""
    pool = WorkerPool(size=1)

    async def pid_for(tenant: str) -> int:
        with on_behalf_of(tenant):
            return await pool.run(os.getpid)

    first = {tenant: await pid_for(tenant) for tenant in ("a", "b", "c", "")}
    assert len(set(first.values())) == 4
    assert {tenant: await pid_for(tenant) for tenant in first} == first
    await pool.aclose()


async def test_tenants_beyond_the_idle_workers_get_new_ones() -> None:
    """The longest idle goes, and never to somebody else."""
    pool, seen = WorkerPool(size=1), set()
    for tenant in [str(number) for number in range(12)] * 2:
        with on_behalf_of(tenant):
            seen.add((tenant, await pool.run(os.getpid)))
    assert len({pid for _, pid in seen}) == len(seen) == 24
    assert pool.idle <= 10
    await pool.aclose()


async def test_a_worker_works_no_longer_than_its_job(pool: WorkerPool) -> None:
    """What goes on in one that answered is ended, and takes no turn of others."""
    pid = await pool.run(answer_and_go_on)
    assert any(worker.pid == pid for worker in workers_of(os.getpid()))
    await gone(pid)


async def test_a_late_import_is_our_fault_and_not_the_pictures(
    pool: WorkerPool, caplog: pytest.LogCaptureFixture
) -> None:
    """Pillow takes an import that fails for a file that is broken."""
    with pytest.raises(WorkersBroken, match="wave"):
        await pool.run(late)
    assert "lacks what a job needs" in caplog.text


def late_imports(path: Path) -> set[str]:
    """Return the modules of Pillow that its functions import when they are called."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    found = set()
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {f"PIL.{name}" for name in names}
    return found


NEVER_USED = {
    f"PIL.{name}" for name in ("ImageQt", "ImageShow", "ImageWin", "ImageDraw2", "ImageText", "ImageGrab")
}
"""What has to do with screens and with text, of which no job has any."""


async def test_what_pillow_imports_late_is_there_before(pool: WorkerPool) -> None:
    """Of every module of Pillow that a worker has."""
    await pool.run(inspect, PHOTO, max_pixels=10**6)
    have = set(await pool.run(eval, "list(__import__('sys').modules)"))
    files = [
        file
        for name in have
        if name.startswith("PIL.") and (file := getattr(sys.modules.get(name), "__file__", ""))
    ]
    wanted = set().union(*(late_imports(Path(file)) for file in files if file.endswith(".py")))
    assert "PIL.TiffImagePlugin" in wanted
    assert wanted - NEVER_USED <= have
    assert set(preloading.LATE) <= have
    assert powers.__name__ not in preloading.LATE
