"""Who may call: keys, the table of rules, and what ends when a key is taken away (P23, F70, F87)."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import grpc
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, Unauthenticated
from imageedit_server import bootstrap
from imageedit_server.access.callers import Callers
from imageedit_server.access.keys import Caller
from imageedit_server.access.rates import RequestRates
from imageedit_server.access.rules import Rule
from imageedit_server.rpc.authentication import Authentication
from imageedit_server.rpc.rules import RULES
from imageedit_server.rpc.server import SERVED
from tests.rpc.callers import ALICE, BOB, KEYS, asking, bearer, hash_of, write_keys
from tests.rpc.calls import METHODS, Outcome, assert_presentable, call, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, SERVICE, Served, serving
from tests.rpc.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

UPLOAD = f"/{SERVICE.full_name}/UploadImage"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
PATIENCE_SECONDS = 30


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that asks for keys."""
    async with asking(tmp_path_factory.mktemp("server")) as served:
        yield served


# The table


async def test_every_method_that_is_served_has_a_rule() -> None:
    """P23: a new RPC without a row in the table fails here, and so does a row without a method."""
    served = {f"/{service.full_name}/{method.name}" for service in SERVED for method in service.methods}
    assert set(RULES) == served


async def test_what_has_no_rule_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P23: in every mode, also where nobody is asked for a key."""
    monkeypatch.delitem(RULES, f"/{SERVICE.full_name}/ListModels")
    with pytest.raises(AssertionError, match="ListModels"):
        async with serving(tmp_path, SCRIPTED):
            pass


async def test_reflection_shows_what_the_table_is_held_against(asked: Served) -> None:
    """The list of services that are checked is the list of those that are served."""
    question = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    reflect = asked.channel.stream_stream(REFLECT, bytes, reflection_pb2.ServerReflectionResponse.FromString)
    answers = [answer async for answer in reflect(iter([question]), metadata=bearer(ALICE))]
    shown = {each.name for each in answers[0].list_services_response.service}
    assert shown == {service.full_name for service in SERVED}


async def test_only_health_is_open() -> None:
    """DESIGN §6: with api_key every RPC needs a key, reflection included."""
    open_to_all = {method for method, rule in RULES.items() if rule is Rule.ANYONE}
    assert {method.split("/")[1] for method in open_to_all} == {"grpc.health.v1.Health"}


async def test_a_method_without_a_rule_is_refused(asked: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """P23: also with a good key, and whether or not anyone looked at the tests."""
    monkeypatch.delitem(RULES, f"/{SERVICE.full_name}/ListModels")
    outcome = await call(asked.channel, "ListModels", pb.ListModelsRequest(), metadata=bearer(ALICE))
    assert (outcome.code.name, outcome.reason) == ("PERMISSION_DENIED", "NOT_ALLOWED")
    assert_presentable(outcome)


# Credentials

BAD_CREDENTIALS = {
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


@pytest.mark.parametrize(("metadata", "reason"), BAD_CREDENTIALS.values(), ids=list(BAD_CREDENTIALS))
async def test_bad_credentials_are_refused(
    asked: Served, metadata: tuple[tuple[str, str], ...], reason: str
) -> None:
    """F87: forged, absent and doubled ones, with nothing of them in the answer."""
    outcome = await call(asked.channel, "ListTasks", pb.ListTasksRequest(), metadata=metadata)
    assert (outcome.code.name, outcome.reason) == ("UNAUTHENTICATED", reason)
    assert_presentable(outcome)
    assert "key-of" not in f"{outcome.message}{outcome.trailer}"


@pytest.mark.parametrize("method", METHODS)
async def test_every_rpc_needs_a_key(asked: Served, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §6; and what is refused was not even read, let alone looked up."""
    database = asked.server.use_cases.tasks._database
    for name in ("read", "write", "record"):
        monkeypatch.setattr(database, name, _unexpected)
    for metadata in ((), bearer("imageedit_nobody")):
        outcome = await call(asked.channel, method, b"\xff not a message", metadata=metadata)
        assert outcome.code is grpc.StatusCode.UNAUTHENTICATED


def _unexpected(*_args: Any, **_kwargs: Any) -> None:
    raise AssertionError("the store was asked")


async def test_reflection_and_what_is_not_there_need_a_key(asked: Served) -> None:
    """Strangers do not learn what is served."""
    for path in (REFLECT, f"/{SERVICE.full_name}/Nothing", "/nobody/Nothing"):
        rpc = asked.channel.stream_stream(path, bytes, bytes)(iter([b""]), timeout=PATIENCE_SECONDS)
        assert (await outcome_of(rpc)).code is grpc.StatusCode.UNAUTHENTICATED
    unknown = asked.channel.unary_unary("/nobody/Nothing", bytes, bytes)(b"", metadata=bearer(ALICE))
    assert (await outcome_of(unknown)).code is grpc.StatusCode.UNIMPLEMENTED


async def test_health_needs_no_key(asked: Served) -> None:
    """Load balancers have none."""
    check = asked.channel.unary_unary(
        "/grpc.health.v1.Health/Check", bytes, health_pb2.HealthCheckResponse.FromString
    )
    assert (await check(b"")).status == health_pb2.HealthCheckResponse.SERVING


async def test_every_key_of_a_tenant_is_the_tenant(tmp_path: Path) -> None:
    """Several keys for one tenant, so that a key can be replaced while both work; the scheme in any case."""
    second = "imageedit_the-other-key-of-alice"
    async with asking(tmp_path) as served:
        write_keys(tmp_path, {"alice": [ALICE, second], "bob": [BOB]})
        async with AsyncClient(served.server.grpc_address, api_key=ALICE) as alice:
            task = await alice.edit_image("x", [PNG])
        await _until_answered(served, second)
        get = pb.GetTaskRequest(task_id=task.task_id)
        for metadata in (bearer(second), (("authorization", f"BEARER  {ALICE} "),)):
            assert (await call(served.channel, "GetTask", get, metadata=metadata)).code is grpc.StatusCode.OK
        assert (await call(served.channel, "GetTask", get, metadata=bearer(BOB))).reason == "TASK_NOT_FOUND"


async def _until_answered(served: Served, key: str, code: str = "OK") -> None:
    async def answered() -> bool:
        request = pb.ListModelsRequest()
        return (await call(served.channel, "ListModels", request, metadata=bearer(key))).code.name == code

    await eventually(answered)


async def test_no_key_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """P26: good or bad, only the first digits of its hash."""
    caplog.set_level(logging.DEBUG)
    bad = "imageedit_canary-51c7"
    async with asking(tmp_path) as asked:
        await call(asked.channel, "ListModels", pb.ListModelsRequest(), metadata=bearer(bad))
        await call(asked.channel, "ListModels", pb.ListModelsRequest(), metadata=bearer(ALICE))
    assert hash_of(bad).removeprefix("sha256:")[:8] in caplog.text
    assert "canary" not in caplog.text
    assert "key-of" not in caplog.text


async def test_bad_keys_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever tries a thousand keys gets one line, and is counted in the metrics."""
    caplog.set_level(logging.DEBUG)
    async with asking(tmp_path) as served:
        caplog.clear()
        for number in range(50):
            metadata = bearer(f"imageedit_guess-{number}")
            outcome = await call(served.channel, "ListModels", pb.ListModelsRequest(), metadata=metadata)
            assert outcome.reason == "CREDENTIALS_INVALID"
        assert caplog.text.count("no tenant has key") == 1


# Taking a key away (F70)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at often."""
    monkeypatch.setattr(bootstrap, "RELOAD_SECONDS", 0.02)


@pytest.mark.usefixtures("soon")
async def test_a_key_that_is_taken_away_ends_open_streams(tmp_path: Path) -> None:
    """F70: watches with their last-seq, and every other stream; other tenants' go on."""
    async with asking(tmp_path) as served:
        alices, bobs = [await _watch(served, key) for key in (ALICE, BOB)]
        upload = served.channel.stream_unary(UPLOAD, bytes, bytes)(metadata=bearer(ALICE))
        await upload.write(pb.UploadImageRequest(info={}).SerializeToString())
        reflect = served.channel.stream_stream(REFLECT, bytes, bytes)(metadata=bearer(ALICE))
        question = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
        await reflect.write(question)
        assert await reflect.read()
        write_keys(tmp_path, {"bob": [BOB]})
        outcome, last = await _rest(alices)
        assert (outcome.code.name, outcome.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
        assert_presentable(outcome)
        assert outcome.trailer["last-seq"] == str(last)
        for rpc in (upload, reflect):
            assert (await outcome_of(rpc)).reason == "CREDENTIALS_INVALID"
        await _until_answered(served, ALICE, "UNAUTHENTICATED")
        write_keys(tmp_path, KEYS)
        await _until_answered(served, ALICE)
        async with AsyncClient(served.server.grpc_address, api_key=BOB) as bob:
            await bob.cancel((await anext(bob.list())).task_id)
        outcome, _ = await _rest(bobs)
        assert outcome.code is grpc.StatusCode.OK
        assert "last-seq" not in outcome.trailer
        await eventually(lambda: not served.feed.is_followed)


@pytest.mark.usefixtures("soon")
async def test_the_client_says_so_and_does_not_try_again(tmp_path: Path) -> None:
    """A key that is gone will not come back by waiting."""
    async with asking(tmp_path) as served, AsyncClient(served.server.grpc_address, api_key=ALICE) as alice:
        task = await alice.edit_image("x", [PNG], model="scripted/never")
        events = alice.watch(task.task_id)
        await anext(events)
        write_keys(tmp_path, {})
        with pytest.raises(Unauthenticated):
            await _read_all(events)


async def _read_all(events: AsyncIterator[object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for _ in events:
            pass


@pytest.mark.usefixtures("soon")
async def test_a_broken_keys_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log that names the file; keys and streams stay; a good file is taken."""
    async with asking(tmp_path) as served:
        watch = await _watch(served, ALICE)
        for broken in ('alice = "', 'alice = "no list"\n', f'alice = ["{ALICE}"]\n', "[alice]\n", None):
            caplog.clear()
            _replace(tmp_path / "keys.toml", broken)
            await eventually(lambda: "what it said before still holds" in caplog.text)
            await _until_answered(served, BOB)
            assert caplog.text.count("keys.toml") == 1
            assert ALICE not in caplog.text
        write_keys(tmp_path, {"bob": [BOB]})
        outcome, _ = await _rest(watch)
        assert outcome.reason == "CREDENTIALS_INVALID"


def _replace(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)


async def test_a_key_taken_away_before_the_first_message_ends_the_call(asked: Served) -> None:
    """Between the gate and the handler there is time for a request to arrive, and for a key to go."""
    gate = Callers(_Gone(), RequestRates(0))  # type: ignore[arg-type]
    caller = Caller("alice", "0" * 64)

    async def behaviour(_request: object, _context: object) -> None:
        await asyncio.Event().wait()

    refused = _Context()
    with pytest.raises(grpc.aio.AbortError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await Authentication(gate)._until_revoked(behaviour, caller)(None, refused)
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert not gate._open


class _Gone:
    value: ClassVar[dict[str, Any]] = {}


class _Context:
    code: grpc.StatusCode | None = None

    def trailing_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, *_rest: Any, **_more: Any) -> None:
        self.code = code
        raise grpc.aio.AbortError


async def _watch(served: Served, key: str) -> Any:
    """Begin a watch of a task that never ends, and read its first event."""
    async with AsyncClient(served.server.grpc_address, api_key=key) as client:
        task = await client.edit_image("x", [PNG], model="scripted/never")
    watch = served.stub.WatchTask(pb.WatchTaskRequest(task_id=task.task_id), metadata=bearer(key))
    await watch.read()
    return watch


async def _rest(watch: Any) -> tuple[Outcome, int]:
    """Read a watch to its end; answer how it ended and the last seq that came."""
    seq = 1
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (response := await watch.read()) is not grpc.aio.EOF:
                seq = max(seq, response.event.seq)
    except grpc.aio.AioRpcError:
        pass
    return await outcome_of(watch), seq
