"""The loops that take calls in, beside grpcio's own: what they survive, and what ends the server."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from imageedit_server.rpc import grpcio_patch
from tests.rpc.waiting import PATIENCE_SECONDS

Behaviour = Callable[[bytes, Any], Any]


async def _echo(request: bytes, _: Any) -> bytes:
    return request


@asynccontextmanager
async def _serving(
    behaviour: Behaviour = _echo, most_calls: int | None = None
) -> AsyncIterator[tuple[grpc.aio.Server, Any]]:
    server = await grpcio_patch.server(interceptors=[], maximum_concurrent_rpcs=most_calls)
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(behaviour)}
    server.add_registered_method_handlers("echo.Echo", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield server, channel.unary_unary("/echo.Echo/Echo")
    await server.stop(None)


def _failing(monkeypatch: pytest.MonkeyPatch, error: Exception, times: int) -> list[bytes]:
    """Let so many requests for the next call fail; return what says how many there were."""
    plain, asked = grpcio_patch._Server._request_registered_call, []

    async def request(server: Any, method: bytes) -> Any:
        asked.append(method)
        if len(asked) <= times:
            raise error
        return await plain(server, method)

    monkeypatch.setattr(grpcio_patch._Server, "_request_registered_call", request)
    return asked


async def test_more_calls_than_loops_run_at_once() -> None:
    there, gathered, count = 0, asyncio.Event(), 3 * grpcio_patch.OUTSTANDING

    async def meet(request: bytes, _: Any) -> bytes:
        nonlocal there
        there += 1
        if there == count:
            gathered.set()
        await gathered.wait()
        return request

    async with _serving(meet) as (_, call), asyncio.timeout(PATIENCE_SECONDS):
        sent = [bytes([number]) for number in range(count)]
        assert await asyncio.gather(*map(call, sent)) == sent


async def test_large_calls_begin_one_in_a_turn_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a megabyte takes to copy and to parse, all other calls wait for."""
    loop, turn, begun = asyncio.get_running_loop(), itertools.count(), list[int]()
    now = 0
    begin = grpcio_patch._Server._begin

    def tick() -> None:
        nonlocal now
        now = next(turn)
        loop.call_soon(tick)

    def noted(*call: Any) -> None:
        begun.append(now)
        begin(*call)

    monkeypatch.setattr(grpcio_patch._Server, "_begin", noted)
    large = bytes(grpcio_patch.LARGE_BYTES)
    async with _serving() as (_, echo):
        await echo(large)
        tick()
        await asyncio.gather(*(echo(large) for _ in range(2 * grpcio_patch.OUTSTANDING)))
    assert len(begun) - 1 == len(set(begun[1:])) == 2 * grpcio_patch.OUTSTANDING


async def test_small_calls_begin_at_once_when_as_many_came_as_loops_there_are() -> None:
    turns = grpcio_patch._Turns()
    read = turns.noting(len)
    assert read(bytes(grpcio_patch.LARGE_BYTES)) == grpcio_patch.LARGE_BYTES
    for _ in range(grpcio_patch.OUTSTANDING):
        await turns.wait()
        with pytest.raises(TimeoutError):  # its turn is taken until the loop has gone round
            async with asyncio.timeout(0):
                await turns.wait()
        await asyncio.sleep(0)
        assert read(b"x") == 1
    for _ in range(3):
        assert [None for _ in turns.wait().__await__()] == []  # without a turn of the loop


async def test_a_request_that_fails_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = grpcio_patch.OUTSTANDING + 1
    asked = _failing(monkeypatch, cygrpc._RequestCallError(), failures)
    async with _serving() as (_, call), asyncio.timeout(PATIENCE_SECONDS):
        assert await call(b"still there") == b"still there"
    assert len(asked) > failures


async def test_any_other_error_ends_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, RuntimeError("broken"), 1)
    monkeypatch.setattr(grpcio_patch, "LOOK_SECONDS", 0.01)
    async with _serving() as (server, _), asyncio.timeout(PATIENCE_SECONDS):
        await grpcio_patch.ended(server)


@pytest.mark.parametrize("are_held", [False, True], ids=["while none runs", "while some run"])
async def test_a_server_stops_at_once(are_held: bool) -> None:
    begun = asyncio.Event()

    async def hold(_request: bytes, _: Any) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    async with _serving(hold) as (server, call), asyncio.timeout(PATIENCE_SECONDS):
        held = [asyncio.ensure_future(call(b"")) for _ in range(3 * are_held)]
        if are_held:
            await begun.wait()
        await server.stop(None)
        outcomes = await asyncio.gather(*held, return_exceptions=True)
        assert all(isinstance(outcome, grpc.RpcError) for outcome in outcomes)


async def test_calls_beyond_the_most_are_refused_and_take_no_place() -> None:
    begun, free = asyncio.Semaphore(0), asyncio.Event()

    async def hold(request: bytes, _: Any) -> bytes:
        begun.release()
        await free.wait()
        return request

    async with _serving(hold, most_calls=2) as (_, call), asyncio.timeout(PATIENCE_SECONDS):
        held = [asyncio.ensure_future(call(b"held")) for _ in range(2)]
        for _ in held:
            await begun.acquire()
        for _ in range(5):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"one too many")
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        free.set()
        assert await asyncio.gather(*held) == [b"held", b"held"]
        assert await call(b"again") == b"again"
