"""One AsyncClient in any event loop: made before it, used in the next one, and in several at once."""

import asyncio
import gc
import logging
import subprocess
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit_client import AsyncClient


@pytest.fixture(autouse=True)
def silence(caplog):
    """A loop that is closed over a channel leaves no warning and no line in the log of asyncio."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def answers(server, number):
    server.on("ListModels", *[service_pb2.ListModelsResponse(models=[{"name": "one"}])] * number)


async def named(client):
    return [model.name for model in await client.list_models()]


def test_a_client_of_a_module_serves_one_loop_after_the_other(server):
    """Made where no loop runs; the second loop has a connection of its own."""
    answers(server, 3)
    client = AsyncClient(server.address)
    assert [asyncio.run(named(client)) for _ in range(3)] == [["one"]] * 3


def test_a_client_may_be_made_after_a_loop_has_ended_and_in_a_thread_without_one(server):
    answers(server, 2)
    asyncio.run(asyncio.sleep(0))
    late = AsyncClient(server.address)
    with ThreadPoolExecutor(1) as pool:
        threaded = pool.submit(AsyncClient, server.address).result()
    assert [asyncio.run(named(client)) for client in (late, threaded)] == [["one"]] * 2


def test_loops_in_threads_share_a_client_at_the_same_time(server):
    """None of them takes the connection away from another."""
    answers(server, 60)
    client, together = AsyncClient(server.address), threading.Barrier(3)

    async def ask():
        together.wait(10)
        return [await named(client) for _ in range(20)]

    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(asyncio.run, ask()) for _ in range(3)]
        assert [future.result(30) for future in asked] == [[["one"]] * 20] * 3


def test_a_loop_that_ends_under_a_watch_disturbs_nobody(server, say):
    """Its calls end with it, and the server is told."""
    server.on("WatchTask", [say.event(1), say.Hang()])
    answers(server, 1)
    client = AsyncClient(server.address)

    async def first_event():
        return await anext(client.watch("task_1"))

    assert asyncio.run(first_event()).seq == 1
    assert asyncio.run(named(client)) == ["one"]
    assert server.abandoned.wait(10)


def test_what_closed_loops_leave_behind_is_let_go(server, monkeypatch):
    """One channel is there, however many loops there were; and none when the client is closed."""
    answers(server, 5)
    channels: weakref.WeakSet[grpc.aio.Channel] = weakref.WeakSet()
    opening = grpc.aio.insecure_channel

    def opened(*target, **how):
        channel = opening(*target, **how)
        channels.add(channel)
        return channel

    monkeypatch.setattr("grpc.aio.insecure_channel", opened)
    client = AsyncClient(server.address)
    for _ in range(5):
        assert asyncio.run(named(client)) == ["one"]
        gc.collect()
        assert len(channels) == 1
    asyncio.run(client.close())
    gc.collect()
    assert len(channels) == 0


def test_a_closed_client_connects_anew(server):
    """So that `async with` may stand around a client of a module more than once."""
    answers(server, 4)
    client = AsyncClient(server.address)

    async def block():
        async with client:
            assert await named(client) == ["one"]
        return await named(client)

    assert [asyncio.run(block()) for _ in range(2)] == [["one"]] * 2


def test_closing_ends_the_calls_of_its_loop(server, say):
    """Also a watch that would be resumed over a new connection."""
    server.on("WatchTask", *[[say.event(1), say.Hang()]] * 2)

    async def closed_under_a_watch():
        client = AsyncClient(server.address)
        watch = client.watch("task_1")
        await anext(watch)
        waiting = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(0)
        await client.close()
        await asyncio.wait([waiting], timeout=10)
        return waiting

    waiting = asyncio.run(closed_under_a_watch())
    assert waiting.cancelled() or waiting.exception() is not None
    assert len(server.received["WatchTask"]) == 1


def test_a_client_is_closed_where_no_call_was_made(server):
    """Nor was there a connection."""
    asyncio.run(AsyncClient(server.address).close())
    assert server.metadata == []


def test_two_loops_may_take_turns(server):
    """By hand, in one thread; each is given back its own connection."""
    answers(server, 4)
    client = AsyncClient(server.address)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    assert [loop.run_until_complete(named(client)) for loop in loops * 2] == [["one"]] * 4
    for loop in loops:
        loop.run_until_complete(client.close())
        loop.close()


def test_outside_of_a_loop_there_is_nothing_to_call(server):
    """It is said by the call, and not by the client."""
    client = AsyncClient(server.address)
    with pytest.raises(RuntimeError, match="no running event loop"):
        client.list_models().send(None)


FORKING = """
import asyncio, os, sys, threading
from imageedit_client import AsyncClient

client = AsyncClient(sys.argv[1])

async def names():
    return [model.name for model in await client.list_models()]

def in_child():
    if not (child := os.fork()):
        try:
            print(asyncio.run(names()), flush=True)
        except RuntimeError as error:
            print(error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)

async def fork_at_work():
    await names()
    await asyncio.get_running_loop().run_in_executor(None, in_child)
    return await names()

print(asyncio.run(names()), flush=True)
in_child()
print(asyncio.run(fork_at_work()), flush=True)
"""


def test_a_fork_between_two_loops_is_survived_and_one_under_a_loop_is_told(server):
    """A worker that was forked from a parent that had called, as application servers do; it never hangs."""
    answers(server, 4)
    command = [sys.executable, "-W", "ignore", "-c", FORKING, server.address]
    forked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    parent, child, lost, after = forked.stdout.splitlines()
    assert (parent, child, after) == ("['one']", "['one']", "['one']")
    assert "forked while an AsyncClient was at work" in lost
