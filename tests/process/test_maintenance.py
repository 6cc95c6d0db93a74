"""``imageedit-server check`` and ``backup`` as real processes, beside a server that is busy."""

import asyncio
import hashlib
import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from imageedit_client import AsyncClient, Task
from imageedit_server.core.image import Image
from imageedit_server.images.blobs.files import IMAGES_FOLDER, FileBlobStore
from imageedit_server.maintenance import backup
from imageedit_server.settings import load_settings
from imageedit_server.store.creation import add_images
from imageedit_server.store.erasing import erase_image
from imageedit_server.store.sqlite.file import DATABASE_NAME
from tests.contracts.databases import open_sqlite
from tests.rpc.pictures import PNG
from tests.servers.places import Place
from tests.servers.processes import Servers
from tests.store.making import NOW
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor
from tests.vendors.suitme.server import SuitmeVendor


async def command(servers: Servers, *arguments: str, code: int = 0) -> list[str]:
    """Run a command of the server to its end; return its lines."""
    ran = await servers.run(*arguments)
    assert await ran.ended() == code, ran.stderr()
    assert "Traceback" not in ran.stderr()
    return (await ran.rest_of_stdout()).splitlines()


async def checked(servers: Servers, folder: Path, *words: str, code: int = 1) -> None:
    """The check of a data folder says ``words`` in one line, and ends with ``code``."""
    lines = await command(servers, "check", "--data-dir", str(folder), code=code)
    mark = "FAIL" if code else "ok"
    assert any(line.startswith(mark) and all(word in line for word in words) for line in lines), lines


async def done(client: AsyncClient, prompt: str = "x") -> Task:
    task = await client.edit_image(prompt, [PNG], model="scripted/ok")
    return await client.wait(task.task_id)


def database_of(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / DATABASE_NAME, isolation_level=None)


async def test_a_backup_beside_a_busy_server_has_all_that_was_there(servers: Servers, tmp_path: Path) -> None:
    """And is restored by serving it: tasks, pictures and request_ids."""
    place, copy = Place(folder=tmp_path, seconds=0.0), tmp_path / "copy"
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client, asyncio.TaskGroup() as group:

        async def keep_busy() -> None:
            while True:
                await done(client)

        before = [await done(client, str(number)) for number in range(5)]
        busy = [group.create_task(keep_busy()) for _ in range(4)]
        for _ in range(2):  # the second brings the first up to date
            before.append(await done(client))
            lines = await command(servers, "backup", str(copy), "--data-dir", str(place.data_dir))
            assert all(line.startswith("ok ") for line in lines), lines
        for each in busy:
            each.cancel()
    await server.kill()
    shutil.rmtree(place.data_dir)
    copy.rename(place.data_dir)
    restored = await servers.start(place)
    async with AsyncClient(restored.grpc) as client:
        for task in before:
            assert await client.get(task.task_id) == task
            data = await client.download(task.images[0].image_id)
            assert f"sha256:{hashlib.sha256(data).hexdigest()}" == task.images[0].image_id
        await done(client)


async def test_a_backup_never_replaces_what_a_server_serves(servers: Servers, tmp_path: Path) -> None:
    """The server would go on writing to a file that is gone, and lose all of it."""
    place = Place(folder=tmp_path, seconds=0.0)
    server = await servers.start(place)
    before = (place.data_dir / DATABASE_NAME).stat().st_ino
    ran = await servers.run("backup", str(place.data_dir), "--data-dir", str(place.data_dir))
    assert await ran.ended() == 2
    assert "choose another folder" in ran.stderr()
    assert (place.data_dir / DATABASE_NAME).stat().st_ino == before
    async with AsyncClient(server.grpc) as client:
        task = await done(client)
    await server.kill()
    again = await servers.start(place)
    async with AsyncClient(again.grpc) as client:
        assert await client.get(task.task_id) == task


async def test_a_backup_is_its_owners_alone(servers: Servers, tmp_path: Path) -> None:
    """Also in a folder that others may look into: it holds prompts and pictures."""
    place, copy = Place(folder=tmp_path, seconds=0.0), tmp_path / "copy"
    copy.mkdir()
    copy.chmod(0o755)
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        await done(client)
    await command(servers, "backup", str(copy), "--data-dir", str(place.data_dir))
    files = [path for path in copy.rglob("*") if path.is_file()]
    assert len(files) == 2  # the database, and the picture that is its own result
    assert {path.stat().st_mode & 0o077 for path in files} == {0}


async def test_a_backup_says_what_an_older_copy_still_holds(tmp_path: Path) -> None:
    """What was erased since is in its pictures, until somebody deletes them; the rows are gone."""
    place, copy = tmp_path / "data", tmp_path / "copy"
    settings = load_settings(None, {}, {"data_dir": place})
    library = FileBlobStore(place / IMAGES_FOLDER)
    library.prepare()
    async with library.stage(once(PNG)) as staged:
        image = Image(
            image_id=await library.commit(staged),
            media_type="image/png",
            width=8,
            height=8,
            size_bytes=len(PNG),
        )
    async with open_sqlite(place) as database:
        await database.write(add_images, "t", [image], NOW)
        assert all("still in it" not in finding.sentence for finding in backup(settings, copy))
        await database.write(erase_image, "t", image.image_id)
        told = [finding.sentence for finding in backup(settings, copy)]
    assert f"{image.image_id} is still in it, though the data have it no more; delete the file." in told


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def test_a_check_finds_what_is_wrong_with_the_data(servers: Servers, tmp_path: Path) -> None:
    place = Place(folder=tmp_path, seconds=0.0)
    await checked(servers, place.data_dir, "data", "none", code=0)
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        task = await done(client)
    await checked(servers, place.data_dir, "database", "sound", code=0)  # beside the server
    await server.kill()
    digest = task.images[0].image_id.removeprefix("sha256:")
    blob = place.data_dir / "images" / digest[:2] / digest
    blob.write_bytes(blob.read_bytes()[:-1])
    await checked(servers, place.data_dir, "images", digest)
    with database_of(place.data_dir) as database:
        database.execute("DELETE FROM task_event WHERE seq = 2")
    database.close()
    await checked(servers, place.data_dir, "database", task.task_id, "gap")


async def test_a_check_finds_a_damaged_file(servers: Servers, tmp_path: Path) -> None:
    place = Place(folder=tmp_path, seconds=0.0)
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        for _ in range(3):
            await done(client, "x" * 5000)
    await server.kill()
    spoil(place.data_dir, "task_event")
    await checked(servers, place.data_dir, "database")


async def test_damage_where_nobody_reads_ends_a_server(servers: Servers, tmp_path: Path) -> None:
    """F23, PROMISES §7: the file is looked over after each start, and then every day."""
    place = Place(folder=tmp_path, seconds=0.0)
    server = await servers.start(place)
    async with AsyncClient(server.grpc) as client:
        await done(client)
    await server.kill()
    spoil(place.data_dir, "task_by_user")
    server = await servers.start(place)
    assert await server.ended() == 1
    assert "the database is damaged" in server.stderr()


def spoil(data_dir: Path, name: str) -> None:
    """Overwrite the first page of a table or index."""
    with database_of(data_dir) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        found = database.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,))
        [page] = found.fetchone()
    database.close()
    with (data_dir / DATABASE_NAME).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xa5" * 4096)


PROVIDERS = """
[providers.kie]
adapter = "kie"
base_url = "{kie.api_url}"
upload_url = "{kie.upload_url}"
api_key_env = "KIE_KEY"

[providers.relay]
adapter = "openai"
base_url = "{relay.url}"
rules = "relay"
api_key_env = "RELAY_KEY"
[providers.relay.models]
"relay/gpt" = "gpt-image-1"

[providers.suitme]
adapter = "suitme"
base_url = "{suitme.url}"
api_key_env = "SUITME_KEY"
"""


@pytest.mark.parametrize("wrong", ["", "kie", "relay", "suitme"])
async def test_a_check_asks_every_provider_for_nothing(servers: Servers, tmp_path: Path, wrong: str) -> None:
    """A key that the vendor refuses is found before a task needs it; keys are not shown."""
    async with KieVendor() as kie, OpenaiVendor() as relay, SuitmeVendor() as suitme:
        config = tmp_path / "config.toml"
        config.write_text(PROVIDERS.format(kie=kie, relay=relay, suitme=suitme))
        keys = {"kie": kie.api_key, "relay": relay.api_key, "suitme": suitme.api_key}
        keys |= {wrong: "no-such-key"} if wrong else {}
        environment = {f"{name.upper()}_KEY": key for name, key in keys.items()}
        ran = await servers.run("check", "--config", str(config), environment=environment)
        assert await ran.ended() == (1 if wrong else 0)
        lines = (await ran.rest_of_stdout()).splitlines()
        assert not any(vendor.ledger for vendor in (kie, relay, suitme))
    failed = [line for line in lines if line.startswith("FAIL")]
    assert [f"provider {wrong}" in line for line in failed] == ([True] if wrong else [])
    assert sum("provider " in line for line in lines) == 4
    assert not any(key in line for key in keys.values() for line in (*lines, ran.stderr()))


async def test_a_provider_that_cannot_be_reached_is_named(servers: Servers, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("""
[providers.suitme]
adapter = "suitme"
base_url = "http://127.0.0.1:1"
api_key = "k"
""")
    lines = await command(servers, "check", "--config", str(config), code=1)
    assert next(line for line in lines if line.startswith("FAIL")).startswith("FAIL  provider suitme: ")
