"""A callback is a hint to poll now, the way to a lost id, and nothing else (F57 to F64, P6, P16)."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio

from imageedit_client import AsyncClient, Task
from imageedit_server.web import callbacks as web_callbacks
from tests.chaos.kie_cells import KieAccount
from tests.chaos.service import PATIENCE_SECONDS, Service, eventually, reach, serving
from tests.chaos.words import billing_of, outcomes_of, stage_of, state_of
from tests.servers.config import Table, base_tables
from tests.servers.doorway import Doorway
from tests.vendors.kie.behaviours import data, on_the_wire, only_id, page
from tests.vendors.kie.server import KieVendor
from tests.vendors.serving import hang

HMAC_KEY = "webhook-hmac-key"
ANSWER_SECONDS = 20.0
"""Far less than the time until the next poll, which no caller is kept for."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Here:
    """A service whose vendors can call it; it polls so rarely that only a callback makes it look."""

    service: Service
    accounts: Mapping[str, KieAccount]
    http: httpx.AsyncClient
    plain: str
    """The provider of this test's own account."""

    @property
    def client(self) -> AsyncClient:
        return self.service.client

    @property
    def vendor(self) -> KieVendor:
        return self.accounts[self.plain].vendor

    async def create(self, name: str = "", **settings: object) -> Task:
        provider = name or self.plain
        return await self.accounts[provider].create(self.client, provider, {"timeout": 600, **settings})

    async def waiting(self, name: str = "", **settings: object) -> Task:
        """Return a task that the vendor has taken."""
        task = await self.create(name, **settings)
        return await reach(self.client, task.task_id, lambda task: stage_of(task) == "WAITING")

    async def finish(self, name: str = "") -> str:
        """Let the vendor be done with its newest task; return its id."""
        vendor = self.accounts[name or self.plain].vendor
        await eventually(lambda: vendor.ledger)
        task_id = vendor.ledger[-1].task_id
        vendor.finish(task_id)
        return task_id

    def path(self, name: str = "") -> str:
        """Return where the newest task's callback goes."""
        return urlsplit(str(self.accounts[name or self.plain].vendor.ledger[-1].body["callBackUrl"])).path

    async def send(self, path: str, content: Any, headers: Mapping[str, str] | None = None) -> int:
        """Call as a stranger would; the answer must come at once and never be a 5xx."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        begun = time.monotonic()
        reply = await self.http.post(path, content=body, headers=dict(headers or {}))
        assert time.monotonic() - begun < ANSWER_SECONDS
        assert reply.status_code < 500
        return reply.status_code


RARELY = {"poll_seconds": [3000, 3000, 3000]}
HOMES = 20
"""How many tests can have an account of their own."""


@dataclass(frozen=True, slots=True)
class House:
    """The service of all tests here, with an account that signs and many that do not."""

    service: Service
    accounts: Mapping[str, KieAccount]
    http: httpx.AsyncClient
    free: Iterator[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        plain = [f"plain{number}" for number in range(HOMES)]
        accounts = {name: await stack.enter_async_context(KieAccount()) for name in (*plain, "signed")}
        accounts["signed"].vendor.webhook_key = HMAC_KEY

        def tables(door: Doorway) -> Mapping[str, Table]:
            return {
                **base_tables(public_url=door.url, allow=[each.result_url for each in accounts.values()]),
                **{
                    f"providers.{name}": {
                        **account.table(name),
                        **RARELY,
                        "callback_hmac_key": account.vendor.webhook_key,
                    }
                    for name, account in accounts.items()
                },
            }

        service = await stack.enter_async_context(serving(tmp_path_factory.mktemp("callbacks"), tables))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=service.http_url, trust_env=False, timeout=60)
        )
        yield House(service, accounts, http, iter(plain))


@pytest.fixture
def here(house: House) -> Here:
    return Here(house.service, house.accounts, house.http, next(house.free))


def told(task_id: str, **members: Any) -> dict[str, Any]:
    """A callback's body."""
    return {"code": 200, "msg": "success", "data": {"taskId": task_id, "state": "success", **members}}


async def test_a_callback_makes_it_poll_now(here: Here) -> None:
    task = await here.waiting()
    assert here.vendor.calls("recordInfo") == []
    assert await here.vendor.call_back(await here.finish()) == 200
    done = await here.client.wait(task.task_id)
    assert (state_of(done), len(here.vendor.ledger)) == ("SUCCEEDED", 1)


async def test_a_hundred_at_once_do_what_one_does(here: Here) -> None:
    """F57."""
    task = await here.waiting()
    vendor_id = await here.finish()
    path = here.path()
    statuses = await asyncio.gather(*(here.send(path, told(vendor_id)) for _ in range(100)))
    assert statuses == [200] * 100
    done = await here.client.wait(task.task_id)
    assert (state_of(done), len(done.images), outcomes_of(done)) == ("SUCCEEDED", 1, ("SUCCEEDED",))
    assert (len(here.vendor.ledger), len(here.vendor.calls("result"))) == (1, 1)
    assert await here.send(path, told(vendor_id)) == 200  # and late
    other = await here.waiting()
    assert await here.vendor.call_back(await here.finish()) == 200
    assert state_of(await here.client.wait(other.task_id)) == "SUCCEEDED"
    assert await here.client.get(task.task_id) == done
    assert len(here.vendor.calls("result")) == 2


@pytest.mark.parametrize("at_first", [None, page(503), data("not yet", state="generating", resultJson="")])
async def test_a_result_that_comes_after_the_end_is_kept(here: Here, at_first: Any) -> None:
    """F50, P6: also where the vendor has a bad moment just then. The task itself does not change."""
    task = await here.create(timeout=4)
    ended = await here.client.wait(task.task_id)
    assert ended.error.reason == "DEADLINE_EXCEEDED"
    if at_first:
        here.vendor.misbehave("recordInfo", at_first)
    assert await here.vendor.call_back(await here.finish()) == 200
    await _late(here, task.task_id)
    kept = await here.client.get(task.task_id)
    assert (state_of(kept), kept.seq, kept.error, list(kept.images)) == ("FAILED", ended.seq, ended.error, [])
    assert kept.attempts[0].late_images[0].image_id.startswith("sha256:")
    assert await here.client.download(kept.attempts[0].late_images[0].image_id)


async def test_a_result_of_a_cancelled_call_is_kept(here: Here) -> None:
    """The caller cancels while the call hangs; the vendor works all the same and says so."""
    here.vendor.misbehave("createTask", on_the_wire("hangs", hang))
    task = await here.create()
    vendor_id = await here.finish()
    cancelled = await here.client.cancel(task.task_id)
    assert (state_of(cancelled), billing_of(cancelled)) == ("CANCELLED", "MAY_HAVE_BEEN_CHARGED")
    assert await here.vendor.call_back(vendor_id) == 200
    await _late(here, task.task_id)


async def _late(here: Here, task_id: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await here.client.get(task_id)).attempts[0].late_images:  # noqa: ASYNC110  no event
            await asyncio.sleep(0.02)


async def test_only_the_poll_is_believed(here: Here) -> None:
    """F58, F60: the body is signed by nobody; what it claims is not looked at."""
    task = await here.waiting()
    vendor_id = here.vendor.ledger[-1].task_id
    path = here.path()
    elsewhere = json.dumps({"resultUrls": ["http://169.254.169.254/latest"]})
    for claim in (
        told(vendor_id, resultJson=elsewhere),
        told(vendor_id, state="fail", failCode="500", failMsg="broken"),
        {"code": 501, "msg": "failed", "data": {"taskId": vendor_id}},
    ):
        polls = len(here.vendor.calls("recordInfo"))
        assert await here.send(path, claim) == 200
        await eventually(lambda: len(here.vendor.calls("recordInfo")) > polls)  # noqa: B023
        here.vendor.tasks[vendor_id].states = ["generating", "success"]
    assert stage_of(await here.client.get(task.task_id)) == "WAITING"
    assert await here.vendor.call_back(await here.finish()) == 200
    assert state_of(await here.client.wait(task.task_id)) == "SUCCEEDED"


async def test_the_id_of_anothers_work_changes_nothing(here: Here) -> None:
    """F60: right token, but the id of another task."""
    first = await here.waiting()
    first_id = await here.finish()
    here.vendor.misbehave("createTask", on_the_wire("hangs", hang))
    second = await here.create()
    await eventually(lambda: len(here.vendor.ledger) == 2)
    assert await here.send(here.path(), told(first_id)) == 200
    assert await here.send(here.path(), told(await here.finish())) == 200
    await here.client.cancel(second.task_id)
    assert await here.vendor.call_back(first_id) == 200
    done = await here.client.wait(first.task_id)
    assert (state_of(done), done.attempts[0].vendor_task_id) == ("SUCCEEDED", first_id)
    assert (await here.client.get(second.task_id)).attempts[0].vendor_task_id != first_id


async def test_one_id_for_two_calls_is_nobody_s_second_result(here: Here) -> None:
    """F46: the first owner keeps it; the second fails, and nobody knows what that cost."""
    first = await here.waiting()
    first_id = await here.finish()
    here.vendor.misbehave("createTask", only_id("again", taskId=first_id))
    second = await here.client.wait((await here.create()).task_id)
    assert (second.error.reason, outcomes_of(second)) == ("PROVIDER_BAD_RESULT", ("FAILED",))
    assert billing_of(second) == "MAY_HAVE_BEEN_CHARGED"
    assert await here.vendor.call_back(first_id) == 200
    assert state_of(await here.client.wait(first.task_id)) == "SUCCEEDED"


async def test_who_does_not_know_the_token_is_turned_away(here: Here) -> None:
    """F60, F63: every one of them alike."""
    await here.waiting()
    vendor_id = await here.finish()
    path = here.path()
    token = path.rpartition("/")[2]
    for wrong in (
        f"/callbacks/{here.plain}/{token[:-1]}",
        f"/callbacks/{here.plain}/{token}x",
        f"/callbacks/{here.plain}/{token.swapcase()}",
        f"/callbacks/signed/{token}",
        f"/callbacks/local/{token}",
        f"/callbacks/nobody/{token}",
        f"/callbacks/{here.plain}/%00",
        f"/callbacks/{here.plain}/" + "x" * 4000,
        f"/callbacks/{here.plain}/{token[:-1]}%20",
    ):
        assert await here.send(wrong, told(vendor_id)) in (400, 401), wrong
    for nowhere in (f"/callbacks/{here.plain}/", "/callbacks", f"/callbacks/{here.plain}/{token}/more"):
        assert await here.send(nowhere, told(vendor_id)) in (404, 307), nowhere
    assert here.vendor.calls("recordInfo") == []


async def test_a_signature_is_asked_for_where_there_is_a_key(here: Here) -> None:
    """F61."""
    task = await here.waiting("signed")
    vendor = here.accounts["signed"].vendor
    vendor_id = await here.finish("signed")
    path, now = here.path("signed"), int(time.time())
    good = vendor.signature(vendor_id, now)
    stamp, signature = "X-Webhook-Timestamp", "X-Webhook-Signature"
    refused: list[Mapping[str, str]] = [
        {},
        {stamp: str(now)},
        {signature: good[signature]},
        good | {signature: "x"},
        good | {signature: good[signature].lower()},
        good | {signature: ",".join([good[signature]] * 100)},
        vendor.signature("another", now),
        vendor.signature(vendor_id, now - 310),
        vendor.signature(vendor_id, now + 310),
        *(good | {stamp: text} for text in ("", "nan", "1e400", "-1", f"{now}.5", "9" * 400, f"{now}x")),
    ]
    for headers in refused:
        assert await here.send(path, told(vendor_id), headers) == 401, headers
    latin = [(signature.encode(), "é签".encode()), (stamp.encode(), str(now).encode())]
    reply = await here.http.post(path, content=json.dumps(told(vendor_id)).encode(), headers=latin)
    assert reply.status_code == 401
    assert vendor.calls("recordInfo") == []
    assert await vendor.call_back(vendor_id) == 200
    assert state_of(await here.client.wait(task.task_id)) == "SUCCEEDED"


MALFORMED = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"{}",
    b'{"data":null}',
    b'{"data":{}}',
    b'{"data":{"taskId":null}}',
    b'{"data":{"taskId":""}}',
    b'{"data":{"taskId":true}}',
    b'{"data":{"taskId":{"a":1}}}',
    b'{"data":{"taskId":NaN}}',
    b'{"data":{"taskId":' + b"9" * 5000 + b"}}",
    b'{"data":{"taskId":"' + b"x" * 10_240 + b'"}}',
    b'{"data":{"taskId":"a\\u0000b"}}',
    b'{"data":{"taskId":"\\ud800"}}',
    b'{"data":{"taskId":"a\\nb"}}',
    b'{"data":{"taskId":"\xff"}}',
    b'{"data":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"\x1f\x8b\x08\x00 gzip",
    b"taskId=abc",
    bytes(range(256)),
)


async def test_what_names_no_task_is_a_hint_to_whoever_knows_the_token(here: Here) -> None:
    """P16, F61: with a guessed one it is forged, and where it must be signed malformed. Never 5xx."""
    task = await here.waiting()
    for body in MALFORMED:
        assert await here.send(f"/callbacks/{here.plain}/guessed", body) == 401, body[:60]
        assert await here.send("/callbacks/signed/guessed", body) == 400, body[:60]
    assert here.vendor.calls("recordInfo") == []
    await here.finish()
    for body in MALFORMED:
        assert await here.send(here.path(), body) == 200, body[:60]
    assert state_of(await here.client.wait(task.task_id)) == "SUCCEEDED"
    assert len(here.vendor.ledger) == 1


async def test_what_is_too_much_or_too_slow_is_cut_off(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """F62: the door stays open for others meanwhile."""
    monkeypatch.setattr(web_callbacks, "READ_SECONDS", 3)
    task = await here.waiting()
    path = here.path()
    assert await here.send(path, b" " * 65_537) == 413
    slow = asyncio.create_task(raw(here, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{"))
    huge = asyncio.create_task(
        raw(here, f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n" + "x" * 70_000)
    )
    chunked = "".join(f"1000\r\n{'x' * 4096}\r\n" for _ in range(20))
    endless = asyncio.create_task(
        raw(here, f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}")
    )
    idle = [asyncio.create_task(raw(here, f"POST {path} HTTP/1.1\r\nHost: x\r\n")) for _ in range(50)]
    assert await here.vendor.call_back(await here.finish()) == 200
    assert state_of(await here.client.wait(task.task_id)) == "SUCCEEDED"
    assert (await slow, await huge, await endless) == (408, 413, 413)
    for each in idle:
        each.cancel()


async def test_only_post_is_taken(here: Here) -> None:
    await here.waiting()
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"):
        assert (await here.http.request(method, here.path())).status_code == 405, method


NO_HTTP = (
    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n",
    "Content-Length: 4\r\nContent-Length: 5\r\n",
    "Content-Length: -1\r\n",
    "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "X-Webhook-Signature: " + "x" * 1_000_000 + "\r\n",
)


async def test_what_is_no_proper_http_is_refused(here: Here) -> None:
    """F61, F62."""
    await here.waiting()
    for head in NO_HTTP:
        status = await raw(here, f"POST /callbacks/signed/token HTTP/1.1\r\nHost: x\r\n{head}\r\n")
        assert status in (0, 400, 431), head[:80]  # 0: hung up
        assert (await here.http.get("/healthz")).status_code == 200


async def raw(here: Here, text: str) -> int:
    """Send bytes; return the status that comes back, 0 for none."""
    host, _, port = here.service.running.http_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(text.encode())
        line = await reader.readline()
        return int(line.split()[1]) if line else 0
    except ConnectionError:
        return 0
    finally:
        writer.close()
