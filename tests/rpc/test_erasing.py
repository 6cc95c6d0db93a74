"""Erasing through the door: what is deleted is off the disk when it is answered, and nothing else goes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, FailedPrecondition, NotFound
from imageedit_server.answers import layout
from imageedit_server.answers.layout import Asked
from tests.rpc.callers import ALICE, BOB, asking, bearer
from tests.rpc.calls import call
from tests.rpc.pictures import noise, picture
from tests.rpc.serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRETS = {"prompt": "a secret of", "user_id": "person", "request_id": "key-of", "label": "label-of"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with asking(tmp_path_factory.mktemp("server")) as served:
        yield served


def client(served: Served, key: str = ALICE) -> AsyncClient:
    return AsyncClient(served.server.grpc_address, api_key=key)


def holding(folder: Path, *texts: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield every file below ``folder`` that has one of the texts in it."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found = path.read_bytes()
        yield from ((path.name, text) for text in texts if text in found)


async def edit(alice: AsyncClient, name: str, image: bytes | str, model: str = "scripted/ok") -> str:
    """Make a task that has something of ``name`` in every place; return its id."""
    task = await alice.edit_image(
        f"{SECRETS['prompt']} {name}" + " and more" * 1000,
        [image],
        model=model,
        user_id=f"{SECRETS['user_id']}-{name}",
        request_id=f"{SECRETS['request_id']}-{name}",
        labels={"a": f"{SECRETS['label']}-{name}"},
    )
    return task.task_id


def texts_of(name: str) -> list[bytes]:
    parts = [f"{SECRETS['prompt']} {name} "] + [
        f"{SECRETS[each]}-{name}" for each in ("user_id", "request_id", "label")
    ]
    return [part.encode() for part in parts]


async def test_nothing_is_left_of_a_task_on_the_disk(served: Served) -> None:
    """Its words in the database and its log, its pictures: found before, and not afterwards."""
    photo = noise(300_000)
    middle = photo[150_000:150_400]
    async with client(served) as alice:
        kept, gone = await edit(alice, "ann", picture(fill=1)), await edit(alice, "bob", photo)
        for task_id in (kept, gone):
            await alice.wait(task_id)
        names = {found for _, found in holding(served.data_dir, middle, *texts_of("bob"))}
        assert names == {middle, *texts_of("bob")}
        await alice.delete(gone)
        assert list(holding(served.data_dir, middle, gone.encode(), *texts_of("bob"))) == []
        assert {found for _, found in holding(served.data_dir, *texts_of("ann"))} == set(texts_of("ann"))
        for again in (alice.delete, alice.get, alice.wait):
            with pytest.raises(NotFound):
                await again(gone)
        assert [task.task_id async for task in alice.list(user_id="person-bob")] == []
        await alice.delete(kept)


async def test_a_vendors_answer_that_is_kept_goes_with_its_task(served: Served) -> None:
    async with client(served) as alice:
        kept, gone = await edit(alice, "fay", picture(fill=3)), await edit(alice, "gil", picture(fill=4))
        for task_id in (kept, gone):
            await alice.wait(task_id)
            _keep_answer(served.data_dir / "answers", task_id)
        await alice.delete(gone)
        assert list(holding(served.data_dir / "answers", gone.encode())) == []
        assert list(holding(served.data_dir / "answers", kept.encode())) != []


def _keep_answer(folder: Path, task_id: str) -> None:
    asked = Asked(
        task_id=task_id,
        attempt=1,
        token_sha256="",
        provider="scripted",
        version="1",
        call_time=datetime.now(UTC),
        brief={},
    )
    content = layout.asked_record(asked).ljust(layout.HEAD_AT, b"\0") + layout.head_record(200, {})
    (folder / f"{task_id}.1.kept").write_bytes(content)


async def test_an_image_goes_when_no_task_needs_it(served: Served) -> None:
    photo = noise(200_000)
    async with client(served) as alice:
        uploaded = await alice.upload(photo)
        task_id = await edit(alice, "carl", uploaded.image_id)
        await alice.wait(task_id)
        with pytest.raises(FailedPrecondition) as refused:
            await alice.delete_image(uploaded.image_id)
        assert refused.value.reason == "IMAGE_IN_USE"
        await alice.delete(task_id)
        with pytest.raises(NotFound):
            await alice.download(uploaded.image_id)
        again = await alice.upload(photo)
        await alice.delete_image(again.image_id)
        assert list(holding(served.data_dir, photo[100_000:100_400])) == []
        with pytest.raises(NotFound):
            await alice.delete_image(again.image_id)


async def test_the_same_picture_of_another_tenant_stays(served: Served) -> None:
    photo = noise(100_000)
    async with client(served) as alice, client(served, BOB) as bob:
        task_id = await edit(alice, "dora", photo)
        await alice.wait(task_id)
        image = await bob.upload(photo)
        await alice.delete(task_id)
        with pytest.raises(NotFound):
            await alice.download(image.image_id)
        assert hashlib.sha256(await bob.download(image.image_id)).digest() == hashlib.sha256(photo).digest()
        await bob.delete_image(image.image_id)
    assert not list((served.data_dir / "images").rglob(image.image_id.removeprefix("sha256:")))


async def test_who_watches_it_is_told_that_it_is_gone(served: Served) -> None:
    """A watch that was open meanwhile has had every event; a new one finds no task."""
    async with client(served) as alice:
        task_id = await edit(alice, "emil", picture(fill=2), model="scripted/never")
        watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task_id), metadata=bearer(ALICE))
        with pytest.raises(FailedPrecondition) as refused:
            await alice.delete(task_id)
        assert refused.value.reason == "TASK_NOT_FINISHED"
        await alice.cancel(task_id)
        await alice.delete(task_id)
        seqs: list[int] = []
        with suppress(grpc.aio.AioRpcError):
            async for response in watch:
                seqs.append(response.event.seq)
        assert seqs == list(range(1, len(seqs) + 1))
        assert await watch.code() in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND)
        outcome = await call(
            served.channel, "WatchTask", pb.WatchTaskRequest(task_id=task_id), metadata=bearer(ALICE)
        )
        assert (outcome.code, outcome.reason) == (grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND")


async def test_what_is_erased_and_given_at_once_is_refused_or_whole(served: Served) -> None:
    """Uploads, edits and deletions of one picture side by side: what was accepted can be read (F4)."""
    photo = noise(50_000)

    async def turn(alice: AsyncClient, number: int) -> None:
        image = await alice.upload(photo)
        try:
            task_id = await edit(alice, f"round{number}", image.image_id)
        except NotFound:  # another turn erased it before this edit was accepted
            return
        task = await alice.wait(task_id)
        assert task.state == task.STATE_SUCCEEDED
        assert await alice.download(task.images[0].image_id)
        await alice.delete(task_id)

    async with client(served) as alice:
        for base in range(0, 24, 8):
            await asyncio.gather(*(turn(alice, base + each) for each in range(8)))
    assert list(holding(served.data_dir, photo[25_000:25_400])) == []
