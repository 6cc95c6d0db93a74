"""What every door owes (``access/``): who may call, how often, and what ends when a key is taken away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from imageedit_client import AsyncClient
from imageedit_server.bootstrap import access
from tests.contracts.callers import DOORS, Door, Headers
from tests.rpc.callers import ALICE, BOB, KEYS, asking, bearer, hash_of, write_keys
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, Served, serving
from tests.rpc.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_TASK = "task_" + "5" * 32
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class House:
    """A server, and the door of it that is looked at."""

    served: Served
    door: Door

    async def make(self, key: str, model: str = "scripted/ok") -> str:
        """Create a task in the usual way; return its id."""
        async with AsyncClient(self.served.server.grpc_address, api_key=key) as client:
            return (await client.edit_image("x", [PNG], model=model)).task_id

    async def cancel(self, key: str, task_id: str) -> None:
        """End a task in the usual way."""
        async with AsyncClient(self.served.server.grpc_address, api_key=key) as client:
            await client.cancel(task_id)

    async def becomes(self, key: str, code: str) -> None:
        """Wait until a call with ``key`` is answered with ``code``: NOT_FOUND is a key that is good."""

        async def is_so() -> bool:
            return (await self.door.get(NO_TASK, bearer(key))).code == code

        await eventually(is_so)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=DOORS)
async def house(request: pytest.FixtureRequest, tmp_path_factory) -> AsyncIterator[House]:
    """A server that asks for keys."""
    async with opened(request.param, asking(tmp_path_factory.mktemp("server"))) as house:
        yield house


@asynccontextmanager
async def opened(door: str, server: AbstractAsyncContextManager[Served]) -> AsyncIterator[House]:
    """Come in by ``door``."""
    async with server as served:
        yield House(served, DOORS[door](served))


# Credentials

BAD_CREDENTIALS: dict[str, tuple[Headers, str]] = {
    "none": ((), "CREDENTIALS_MISSING"),
    "other header": ((("x-api-key", ALICE),), "CREDENTIALS_MISSING"),
    "tenant header": ((("x-tenant", "alice"), ("tenant", "alice")), "CREDENTIALS_MISSING"),
    "unknown key": (bearer("imageedit_nobody"), "CREDENTIALS_INVALID"),
    "empty key": (bearer(""), "CREDENTIALS_INVALID"),
    "empty header": ((("authorization", ""),), "CREDENTIALS_INVALID"),
    "without scheme": ((("authorization", ALICE),), "CREDENTIALS_INVALID"),
    "other scheme": ((("authorization", f"Basic {ALICE}"),), "CREDENTIALS_INVALID"),
    "hash as key": (bearer(hash_of(ALICE)), "CREDENTIALS_INVALID"),
    "bare hash as key": (bearer(hash_of(ALICE).removeprefix("sha256:")), "CREDENTIALS_INVALID"),
    "shortened": (bearer(ALICE[:-1]), "CREDENTIALS_INVALID"),
    "other case": (bearer(ALICE.upper()), "CREDENTIALS_INVALID"),
    "two keys": ((*bearer(ALICE), *bearer(BOB)), "CREDENTIALS_INVALID"),
    "the same twice": ((*bearer(ALICE), *bearer(ALICE)), "CREDENTIALS_INVALID"),
    "unsigned token": (bearer("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9."), "CREDENTIALS_INVALID"),
    "tenant as key": (bearer("alice"), "CREDENTIALS_INVALID"),
}


@pytest.mark.parametrize(("headers", "reason"), BAD_CREDENTIALS.values(), ids=list(BAD_CREDENTIALS))
async def test_bad_credentials_are_refused(house: House, headers: Headers, reason: str) -> None:
    """F87: forged, absent and doubled ones, with nothing of them in the answer."""
    answer = await house.door.get(NO_TASK, headers)
    assert (answer.code, answer.reason) == ("UNAUTHENTICATED", reason)
    assert "key-of" not in answer.told


async def test_health_needs_no_key(house: House) -> None:
    """Load balancers have none."""
    assert await house.door.is_healthy()


@pytest.mark.parametrize("door", DOORS)
async def test_every_key_of_a_tenant_is_the_tenant(door: str, tmp_path: Path) -> None:
    """Several keys for one tenant, so that a key can be replaced while both work; the scheme in any case."""
    second = "imageedit_the-other-key-of-alice"
    async with opened(door, asking(tmp_path)) as house:
        write_keys(tmp_path, {"alice": [ALICE, second], "bob": [BOB]})
        task_id = await house.make(ALICE)
        await house.becomes(second, "NOT_FOUND")
        for headers in (bearer(second), (("authorization", f"BEARER  {ALICE} "),)):
            assert (await house.door.get(task_id, headers)).code == "OK"
        assert (await house.door.get(task_id, bearer(BOB))).reason == "TASK_NOT_FOUND"


async def test_another_tenant_s_task_is_not_there(house: House) -> None:
    """P22: told like one that nobody has; ``tests/rpc/test_tenant_matrix.py`` tells of every RPC."""
    task_id = await house.make(ALICE)
    assert (await house.door.get(task_id, bearer(ALICE))).code == "OK"
    another, nobody = [await house.door.get(each, bearer(BOB)) for each in (task_id, NO_TASK)]
    assert another == nobody
    assert (another.code, another.reason) == ("NOT_FOUND", "TASK_NOT_FOUND")


@pytest.mark.parametrize("door", DOORS)
async def test_no_key_is_logged(door: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """P26: good or bad, only the first digits of its hash."""
    caplog.set_level(logging.DEBUG)
    bad = "imageedit_canary-51c7"
    async with opened(door, asking(tmp_path)) as house:
        for key in (bad, ALICE):
            await house.door.get(NO_TASK, bearer(key))
    assert hash_of(bad).removeprefix("sha256:")[:8] in caplog.text
    assert "canary" not in caplog.text
    assert "key-of" not in caplog.text


@pytest.mark.parametrize("door", DOORS)
async def test_bad_keys_do_not_fill_the_log(
    door: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever tries a thousand keys gets one line, and is counted in the metrics."""
    caplog.set_level(logging.DEBUG)
    async with opened(door, asking(tmp_path)) as house:
        caplog.clear()
        for number in range(50):
            answer = await house.door.get(NO_TASK, bearer(f"imageedit_guess-{number}"))
            assert answer.reason == "CREDENTIALS_INVALID"
        assert caplog.text.count("no tenant has key") == 1


# How often


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("with_keys", [True, False])
async def test_too_many_requests_are_refused_with_a_time(door: str, tmp_path: Path, with_keys: bool) -> None:
    """Before anything is looked up; another tenant goes on; health is not counted."""
    limit = "[limits]\nrequests_per_second = 0.001\n"
    server = asking(tmp_path, limit) if with_keys else serving(tmp_path, SCRIPTED, limit)
    async with opened(door, server) as house:
        headers = bearer(ALICE) if with_keys else ()
        assert (await house.door.get(NO_TASK, headers)).code == "NOT_FOUND"
        for _ in range(3):
            answer = await house.door.get(NO_TASK, headers)
            assert (answer.code, answer.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
            assert 900 < (answer.retry_seconds or 0) <= 1000
            assert await house.door.is_healthy()
        if with_keys:
            assert (await house.door.get(NO_TASK, bearer(BOB))).code == "NOT_FOUND"


# Taking a key away (F70)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at often."""
    monkeypatch.setattr(access, "RELOAD_SECONDS", 0.02)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("door", DOORS)
async def test_a_key_that_is_taken_away_ends_open_watches(door: str, tmp_path: Path) -> None:
    """F70: with the cursor to resume after; other tenants' go on, and a key that is given back is good."""
    async with opened(door, asking(tmp_path)) as house, asyncio.timeout(PATIENCE_SECONDS):
        tasks = {key: await house.make(key, "scripted/never") for key in (ALICE, BOB)}
        alices, bobs = [await house.door.watch(task, bearer(key)) for key, task in tasks.items()]
        write_keys(tmp_path, {"bob": [BOB]})
        answer, _ = await alices.end()
        assert (answer.code, answer.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
        await house.becomes(ALICE, "UNAUTHENTICATED")
        write_keys(tmp_path, KEYS)
        await house.becomes(ALICE, "NOT_FOUND")
        await house.cancel(BOB, tasks[BOB])
        answer, _ = await bobs.end()
        assert answer.code == "OK"
        await eventually(lambda: not house.served.feed.is_followed)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("door", DOORS)
async def test_a_broken_keys_file_changes_nothing(
    door: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log that names the file; keys and streams stay; a good file is taken."""
    async with opened(door, asking(tmp_path)) as house:
        watch = await house.door.watch(await house.make(ALICE, "scripted/never"), bearer(ALICE))
        for broken in ('alice = "', 'alice = "no list"\n', f'alice = ["{ALICE}"]\n', "[alice]\n", None):
            caplog.clear()
            _replace(tmp_path / "keys.toml", broken)
            await eventually(lambda: "what it said before still holds" in caplog.text)
            await house.becomes(BOB, "NOT_FOUND")
            assert caplog.text.count("keys.toml") == 1
            assert ALICE not in caplog.text
        write_keys(tmp_path, {"bob": [BOB]})
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer, _ = await watch.end()
        assert answer.reason == "CREDENTIALS_INVALID"


def _replace(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)
