"""``imageedit`` against ``imageedit-server``, as real processes: a real photo in, an edited photo out."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image, ImageChops, ImageStat

from tests.rpc.pictures import PHOTO_FILE
from tests.servers.places import Place
from tests.servers.processes import Server, Servers
from tests.servers.programs import CLIENT_COMMAND, run_to_end

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server with the providers local and scripted."""
    folder = tmp_path_factory.mktemp("server")
    async with Servers(folder, forked=True) as servers:
        yield await servers.start(Place(folder=folder))


async def imageedit(server: Server, *arguments: str | Path, folder: Path) -> tuple[int, str, str]:
    """Run the command in ``folder``; return its exit code, stdout and stderr."""
    ran = await run_to_end(CLIENT_COMMAND, "--address", server.grpc, *arguments, cwd=folder)
    assert "Traceback" not in ran.err
    return ran.code, ran.out, ran.err


async def test_a_photo_is_edited(server: Server, tmp_path: Path) -> None:
    """The README's command: black and white really is, in the size of the original."""
    out = tmp_path / "edited.jpg"
    arguments = ("edit", PHOTO_FILE, "make it black and white", "--model", "local/basic", "-o", out)
    code, printed, err = await imageedit(server, *arguments, folder=tmp_path)
    assert code == 0, err
    assert printed.strip() == str(out)
    with Image.open(out) as image:
        assert image.size == (512, 600)
        red, green, _ = image.convert("RGB").split()
    assert max(ImageStat.Stat(ImageChops.difference(red, green)).mean) < 1


async def test_a_default_model_is_made_and_edited_in_chinese(server: Server, tmp_path: Path) -> None:
    """The three commands of a fashion edit, one after the other."""
    made = await imageedit(server, "default-model", PHOTO_FILE, "--user", "u1", folder=tmp_path)
    code, task_id, err = made
    assert code == 0, err
    edit = (
        "model-edit",
        task_id.strip(),
        "将肤色调亮一些，加一点暖色",
        "--user",
        "u1",
        "-m",
        "local/basic",
        "-o",
        "new.jpg",
    )
    code, printed, err = await imageedit(server, *edit, folder=tmp_path)
    assert code == 0, err
    with Image.open(tmp_path / printed.strip()) as after, Image.open(PHOTO_FILE) as before:
        brighter = ImageStat.Stat(after.convert("L")).mean[0] - ImageStat.Stat(before.convert("L")).mean[0]
    assert brighter > 1
    code, listed, err = await imageedit(server, "--json", "list", folder=tmp_path)
    assert code == 0, err
    tasks = [json.loads(line) for line in listed.splitlines()]
    assert [task["kind"] for task in tasks[:2]] == ["KIND_MODEL_EDIT", "KIND_DEFAULT_MODEL"]


EXITS: list[tuple[list[str | Path], int]] = [
    (["edit", PHOTO_FILE, "sing me a song", "-m", "local/basic"], 1),
    (["edit", PHOTO_FILE, "x", "-m", "scripted/fail"], 1),
    (["edit", PHOTO_FILE], 2),
    (["edit", "none.jpg", "x"], 2),
    (["edit", PHOTO_FILE, "x", "-m", "nobody"], 4),
    (["get", "task_nobody"], 4),
    (["--address", "127.0.0.1:1", "--patience", "0.3", "models"], 3),
]


async def test_the_exit_code_says_what_happened(server: Server, tmp_path: Path) -> None:
    """0 done, 1 the task failed, 2 usage, 3 no server, 4 refused; and why, on stderr."""
    ends = await asyncio.gather(*(imageedit(server, *arguments, folder=tmp_path) for arguments, _ in EXITS))
    assert [code for code, _, _ in ends] == [expected for _, expected in EXITS], ends
    assert all(err.strip() for _, _, err in ends)
    assert "127.0.0.1:1" in ends[-1][2]
