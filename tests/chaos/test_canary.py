"""Secrets stay where they belong: in no log, no error, no task and no table (P26, T10)."""

import json
import secrets
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from imageedit_client import AsyncClient, ImageEditError, ImageSource, Task
from tests.chaos.kie_cells import KieAccount
from tests.chaos.openai_cells import RELAY, OpenaiAccount
from tests.chaos.pictures import photo
from tests.chaos.suitme_cells import SuitmeAccount
from tests.servers.config import Table, base_tables
from tests.servers.homes import Server, home
from tests.vendors.kie.behaviours import busy, page, says
from tests.vendors.kie.behaviours import data as kie_data
from tests.vendors.openai.behaviours import error, on_the_wire
from tests.vendors.serving import Response, hang, serve
from tests.vendors.suitme.behaviours import says as suitme_says

MARK = secrets.token_hex(8)
PROMPT = f"canary-prompt-{MARK}"
SIGNATURE = f"canary-signature-{MARK}"
HMAC_KEY = f"canary-hmac-{MARK}"
KEYS = {name: f"canary-{name}-key-{MARK}" for name in ("kie", "relay", "suitme")}
CALLERS = f"canary-caller-{MARK}"
"""The signature in a URL that a caller gave: needed to fetch it, so kept with the request."""
RELAYS = "signed-url-secret"
"""What a synchronous vendor signs with: kept with the attempt, for nobody could ask it again."""
FAILING = 6


@dataclass(frozen=True, slots=True)
class World:
    server: Server
    client: AsyncClient
    kie: KieAccount
    relay: OpenaiAccount
    suitme: SuitmeAccount
    host: str

    @property
    def secrets(self) -> list[str]:
        """Everything that must be nowhere: keys, signatures, and the tokens that ride in callback URLs."""
        urls = [charge.body.get("callBackUrl", "") for charge in self.kie.vendor.ledger]
        urls += [json.loads(request.body)["callBackUrl"] for request in self.kie.vendor.calls("createTask")]
        tokens = {urlsplit(url).path.rpartition("/")[2] for url in urls}
        return [SIGNATURE, HMAC_KEY, *KEYS.values(), *tokens]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    kie, relay, suitme = KieAccount(), OpenaiAccount(RELAY), SuitmeAccount()
    kie.vendor.webhook_key = HMAC_KEY
    kie.vendor.states = ("success",)
    for name, account in (("kie", kie), ("relay", relay), ("suitme", suitme)):
        account.vendor.api_key = KEYS[name]
    async with AsyncExitStack() as stack:
        for account in (kie, relay, suitme):
            await stack.enter_async_context(account)

        async def nothing(_: Any) -> Response:
            return Response(status=410)

        host = await stack.enter_async_context(serve(nothing))

        def tables(http: str) -> Mapping[str, Table]:
            allow = [kie.result_url, relay.result_url, suitme.result_url, host]
            kie_table = {**kie.table("kie"), "adapter": "kie", "callback_hmac_key": HMAC_KEY}
            return {
                **base_tables(public_url=http, allow=allow, unknown_window_seconds=0.2),
                "providers.kie": kie_table,
                "providers.relay": {**relay.table("relay"), "submit_seconds": 4},
                "providers.suitme": suitme.table("suitme"),
            }

        server = await stack.enter_async_context(home(tmp_path, tables))
        await server.start()
        client = await stack.enter_async_context(AsyncClient(server.address))
        yield World(server, client, kie, relay, suitme, host)


async def test_no_secret_gets_out(world: World) -> None:
    shown: list[str] = []
    kie, relay, suitme = world.kie, world.relay, world.suitme

    async def edit(model: str, **settings: Any) -> Task:
        given = {"size": "1:1" if model.startswith("seedream") else "64x64", **settings}
        task = await world.client.edit_image(PROMPT, [photo()], model=model, timeout=200, **given)
        events = [event async for event in world.client.watch(task.task_id)]
        shown.extend(map(str, events))
        return await world.client.get(task.task_id)

    everything = f"{KEYS['kie']} Bearer {KEYS['kie']} {HMAC_KEY} https://u:p@x.example/a?token={SIGNATURE}"
    for behaviour in (
        says(422, everything),
        says(500, everything),
        says(402, everything),
        page(503, everything),
        busy("1000000"),
    ):
        kie.vendor.misbehave("createTask", behaviour)
        assert (await edit("seedream/4.5-edit")).error.reason
    kie.vendor.fail_next(KEYS["kie"][:40], everything)
    assert (await edit("seedream/4.5-edit")).error.reason == "PROVIDER_FAILED"
    signed = json.dumps({"resultUrls": [f"{world.host}/x.png?X-Amz-Signature={SIGNATURE}&key={KEYS['kie']}"]})
    kie.vendor.misbehave("recordInfo", kie_data("signed", resultJson=signed), None)
    assert (await edit("seedream/4.5-edit")).error.reason == "RESULT_EXPIRED"
    kie.vendor.behave()
    assert (await edit("seedream/4.5-edit")).images
    for said in (
        error(401, "invalid_api_key", message=f"Incorrect API key provided: {KEYS['relay']}."),
        error(500, KEYS["relay"], message=f"Bearer {KEYS['relay']}", kind=KEYS["relay"]),
        error(400, param=KEYS["relay"], message=f"see https://x.example/?sig={SIGNATURE}"),
        on_the_wire("hangs", hang),
    ):
        relay.vendor.misbehave(said)
        assert (await edit("relay/model")).error.reason
    assert (await edit("relay/model")).images  # behind a signed URL
    suitme.vendor.misbehave("models/default", suitme_says(401, 1005, f"no: {KEYS['suitme']}"))
    for _ in range(2):
        made = await suitme.create(world.client, "suitme", {"timeout": 200})
        shown.append(str(await world.client.wait(made.task_id)))
    await _strangers(world, shown)
    shown.extend([str(task) async for task in world.client.list()])
    await world.server.kill()
    _assert_hidden(world, shown)


async def _strangers(world: World, shown: list[str]) -> None:
    """Errors that the server tells at once, and callers of its HTTP door."""
    for url in (
        f"https://u:{SIGNATURE}@x.example/",
        f"http://10.0.0.1/?sig={SIGNATURE}",
        f"ftp://x/{SIGNATURE}",
    ):
        with pytest.raises(ImageEditError) as refused:
            await world.client.edit_image(PROMPT, [ImageSource(url=url)])
        shown.append(f"{refused.value!r} {refused.value}")
    gone = ImageSource(url=f"{world.host}/x.png?sig={CALLERS}")
    task = await world.client.wait((await world.client.edit_image(PROMPT, [gone])).task_id)
    assert task.error.reason == "INPUT_FETCH_FAILED"
    url = world.kie.vendor.ledger[-1].body["callBackUrl"]
    async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
        for body in (b"{", json.dumps({"data": {"taskId": SIGNATURE}}).encode()):
            reply = await http.post(url, content=body, headers={"X-Webhook-Signature": SIGNATURE})
            shown.append(reply.text)


def _assert_hidden(world: World, shown: list[str]) -> None:
    hidden = world.secrets
    assert len(hidden) > len(KEYS) + 2 + FAILING  # the tokens too
    log = world.server.log.read_text()
    for place, text in {"log": log, "tasks and errors": "\n".join(shown)}.items():
        assert [secret for secret in (*hidden, CALLERS, RELAYS) if secret in text] == [], place
    assert PROMPT not in log
    for path in world.server.data_dir.iterdir():
        if path.is_file():
            content = path.read_bytes()
            assert [secret for secret in hidden if secret.encode() in content] == [], path.name
    database = world.server.data_dir / "imageedit.sqlite3"
    assert columns_with(database, PROMPT) == {"task.request"}
    assert columns_with(database, CALLERS) == {"task.request"}
    assert columns_with(database, RELAYS) == {"attempt.result_urls"}


def columns_with(database: Path, text: str) -> set[str]:
    """Return every column of the database in which ``text`` stands."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        columns = [
            (table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info('{table}')")
        ]
        return {
            f"{table}.{column}"
            for table, column in columns
            if connection.execute(
                f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS TEXT), ?)', (text,)
            ).fetchone()
        }
