"""``imageedit-server answers``: what nobody could read is shown, saved, exported, and read again (P31)."""

import asyncio
import json
from pathlib import Path

import pytest

from imageedit_client import AsyncClient, Task
from imageedit_server import vendor_answers
from imageedit_server.outbound.answers import Answer
from imageedit_server.providers.base import Accepted, Finished
from imageedit_server.providers.openai.adapter import OpenaiAdapter
from imageedit_server.settings import Settings, load_settings
from imageedit_server.vendor_answers import NoAnswer
from tests.process.test_restoring import MODEL, configured, vendor
from tests.rpc.pictures import PNG
from tests.servers.here import serving_here

PROMPT = "a prompt of somebody"


def unread(self: object, answer: Answer) -> Accepted | Finished:
    """The reading of a version that did not know this form."""
    raise KeyError("data")


async def edited(client: AsyncClient) -> Task:
    task = await client.edit_image(PROMPT, [PNG], model=MODEL)
    return await asyncio.wait_for(client.wait(task.task_id), 60)


async def read_again(settings: Settings, task: Task) -> str:
    return await asyncio.to_thread(vendor_answers.read_again, settings, task.task_id)


def late_images(task: Task) -> int:
    return sum(len(attempt.late_images) for attempt in task.attempts)


async def test_what_nobody_could_read_is_read_at_an_operators_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the server that runs, or by the command itself; either way without another payment."""
    async with vendor() as paid:
        config = configured(tmp_path, paid)
        settings = load_settings(config, {}, {"data_dir": tmp_path / "data"})
        assert list(vendor_answers.listed(settings)) == []
        async with (
            serving_here(config, tmp_path / "data") as server,
            AsyncClient(server.grpc_address) as client,
        ):
            with monkeypatch.context() as older:
                older.setattr(OpenaiAdapter, "understand", unread)
                first, second = [await edited(client) for _ in range(2)]
                assert first.error.reason == "SUBMIT_OUTCOME_UNKNOWN"
                assert first.attempts[0].answer.kept
                assert await read_again(settings, first) == "Read: 0 of 1."
            assert_shown(settings, first, tmp_path)
            assert await read_again(settings, first) == "Read: 1 of 1. See late_images of the attempt."
            assert late_images(await client.get(first.task_id)) == 1
            assert len(list(vendor_answers.listed(settings))) == 1
            with pytest.raises(NoAnswer):
                await read_again(settings, first)
        assert await read_again(settings, second) == "Read: 1 of 1. See late_images of the attempt."
        async with (
            serving_here(config, tmp_path / "data") as server,
            AsyncClient(server.grpc_address) as client,
        ):
            assert late_images(await client.get(second.task_id)) == 1
        assert len(paid.ledger) == 2


def assert_shown(settings: Settings, task: Task, folder: Path) -> None:
    """Listed, shown, saved as it came, and exported without what is anybody's."""
    listed = list(vendor_answers.listed(settings))
    assert len(listed) == 2
    [line] = [line for line in listed if line.startswith(task.task_id)]
    assert all(word in line for word in ("gpt", " 200 application/json ", "WHOLE", "could not read it"))
    shown = list(vendor_answers.shown(settings, task.task_id))
    assert shown[0] == line
    assert any(each.startswith("  body: {") for each in shown)
    saved, exported = folder / "answer.json", folder / "exchange.json"
    vendor_answers.save(settings, task.task_id, saved)
    assert json.loads(saved.read_bytes())["data"][0]["b64_json"]
    vendor_answers.export(settings, task.task_id, exported)
    exchange = json.loads(exported.read_text())
    assert exchange["body"]["data"][0]["b64_json"].startswith("<Base64 of ")
    assert PROMPT not in exported.read_text()
    assert {path.stat().st_mode & 0o777 for path in (saved, exported)} == {0o600}
    with pytest.raises(FileExistsError):
        vendor_answers.save(settings, task.task_id, saved)
