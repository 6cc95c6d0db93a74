"""Who may call, as only gRPC can ask (P23, F70, F87); what every door owes: ``tests/contracts``."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from grpc_reflection.v1alpha import reflection_pb2

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit_client import AsyncClient, Unauthenticated
from imageedit_server.access.callers import Callers
from imageedit_server.access.keys import Caller, sha256_of
from imageedit_server.access.rates import RequestRates
from imageedit_server.access.rules import Rule
from imageedit_server.bootstrap import access
from imageedit_server.rpc.authentication import Authentication
from imageedit_server.rpc.reflection import SERVED
from imageedit_server.rpc.rules import RULES
from tests.rpc.callers import ALICE, BOB, asking, bearer, write_keys
from tests.rpc.calls import METHODS, assert_presentable, call, outcome_of
from tests.rpc.pictures import PNG
from tests.rpc.serving import SCRIPTED, SERVICE, Served, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

UPLOAD = f"/{SERVICE.full_name}/UploadImage"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
PATIENCE_SECONDS = 30
QUESTION = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that asks for keys."""
    async with asking(tmp_path_factory.mktemp("server")) as served:
        yield served


# The table


async def test_every_method_that_is_served_has_a_rule() -> None:
    """P23: a new RPC without a row in the table fails here, and so does a row without a method."""
    served = {f"/{name}/{method.name}" for name, service in SERVED.items() for method in service.method}
    assert set(RULES) == served


async def test_what_has_no_rule_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P23: in every mode, also where nobody is asked for a key."""
    monkeypatch.delitem(RULES, f"/{SERVICE.full_name}/ListModels")
    with pytest.raises(AssertionError, match="ListModels"):
        async with serving(tmp_path, SCRIPTED):
            pass


async def test_reflection_shows_what_the_table_is_held_against(asked: Served) -> None:
    """The list of services that are checked is the list of those that are served."""
    reflect = asked.channel.stream_stream(REFLECT, bytes, reflection_pb2.ServerReflectionResponse.FromString)
    answers = [answer async for answer in reflect(iter([QUESTION]), metadata=bearer(ALICE))]
    shown = {each.name for each in answers[0].list_services_response.service}
    assert shown == set(SERVED)


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


@pytest.mark.parametrize("method", METHODS)
async def test_every_rpc_needs_a_key(asked: Served, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN §6; and what is refused was not even read, let alone looked up."""
    database = asked.server.database
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


# Taking a key away (F70)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are looked at often."""
    monkeypatch.setattr(access, "RELOAD_SECONDS", 0.02)


@pytest.mark.usefixtures("soon")
async def test_a_key_that_is_taken_away_ends_every_stream(tmp_path: Path) -> None:
    """F70: not watches alone; those of other tenants go on."""
    async with asking(tmp_path) as served:
        upload = served.channel.stream_unary(UPLOAD, bytes, bytes)(metadata=bearer(ALICE))
        await upload.write(pb.UploadImageRequest(info={}).SerializeToString())
        alices, bobs = [await _reflect(served, key) for key in (ALICE, BOB)]
        write_keys(tmp_path, {"bob": [BOB]})
        for rpc in (upload, alices):
            outcome = await outcome_of(rpc)
            assert (outcome.code.name, outcome.reason) == ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
            assert_presentable(outcome)
        await bobs.write(QUESTION)
        assert await bobs.read()
        await bobs.done_writing()
        assert (await outcome_of(bobs)).code is grpc.StatusCode.OK


async def _reflect(served: Served, key: str) -> Any:
    """Begin to ask about services, and read the first answer."""
    reflect = served.channel.stream_stream(REFLECT, bytes, bytes)(metadata=bearer(key))
    await reflect.write(QUESTION)
    assert await reflect.read()
    return reflect


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


async def test_a_key_taken_away_before_the_first_message_ends_the_call(asked: Served) -> None:
    """Between the gate and the handler there is time for a request to arrive, and for a key to go."""
    keys = _Keys({sha256_of("k"): Caller("alice", sha256_of("k"))})
    gate = Callers(keys, RequestRates(0))  # type: ignore[arg-type]

    async def behaviour(_request: object, _context: object) -> None:
        await asyncio.Event().wait()

    async def continuation(_details: object) -> Any:
        keys.value.clear()
        return grpc.unary_stream_rpc_method_handler(behaviour)

    handler = await Authentication(gate).intercept_service(continuation, _Details())
    refused = _Context()
    with pytest.raises(grpc.aio.AbortError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await handler.unary_stream(None, refused)
    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert gate.open_streams == 0


@dataclass
class _Keys:
    value: dict[str, Caller]


class _Details(grpc.HandlerCallDetails):
    method = f"/{SERVICE.full_name}/WatchTask"
    invocation_metadata = (("authorization", "Bearer k"),)


class _Context:
    code: grpc.StatusCode | None = None

    def trailing_metadata(self) -> tuple[()]:
        return ()

    async def abort(self, code: grpc.StatusCode, *_rest: Any, **_more: Any) -> None:
        self.code = code
        raise grpc.aio.AbortError
