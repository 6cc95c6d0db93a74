"""Watching: every event once, in order, through whatever breaks."""

import asyncio
from typing import Any

import grpc
import pytest

from imageedit_client import AsyncClient, Client, ResourceExhausted, TaskFailed, Unavailable, succeeded


def seqs(events):
    return [event.seq for event in events]


def test_a_watch_yields_all_events_and_ends_with_the_task(server, say):
    """Heartbeats are swallowed; the terminal event is the last."""
    server.on(
        "WatchTask", [say.event(1, "QUEUED"), say.heartbeat(1), say.event(2), say.event(3, "SUCCEEDED")]
    )
    with Client(server.address) as client:
        assert seqs(client.watch("task_1")) == [1, 2, 3]


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "CANCELLED"])
def test_the_terminal_event_ends_the_watch_though_the_stream_stays_open(server, say, end):
    """A stream that hangs after the last event holds nobody up."""
    server.on("WatchTask", [say.event(1, end), say.Hang()])
    with Client(server.address) as client:
        assert seqs(client.watch("task_1")) == [1]


BREAKS: dict[str, dict[str, Any]] = {
    "draining": {"reason": "DRAINING"},
    "connection lost": {},
    "slow consumer": {"code": grpc.StatusCode.RESOURCE_EXHAUSTED, "reason": "SLOW_CONSUMER"},
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_watch_goes_on_after_the_last_seen_event(server, say, fake_time, name):
    """The stream is asked for again from there, and what comes twice is dropped."""
    refusal = say.Refusal(**BREAKS[name])
    server.on("WatchTask", [say.event(1), say.event(2), refusal])
    server.on("WatchTask", [say.event(2), say.event(3), say.event(3), say.event(4, "SUCCEEDED")])
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert seqs(client.watch("task_1")) == [1, 2, 3, 4]
    assert [request.after_seq for request in server.received["WatchTask"]] == [0, 2]


async def test_the_async_watch_goes_on_after_the_last_seen_event(server, say, fake_time):
    """The async face keeps the same rule."""
    server.on("WatchTask", [say.event(1), say.Refusal()], [say.event(1), say.event(2, "SUCCEEDED")])
    async with AsyncClient(server.address, sleep=fake_time.sleep_async) as client:
        assert [event.seq async for event in client.watch("task_1")] == [1, 2]
    assert [request.after_seq for request in server.received["WatchTask"]] == [0, 1]


def test_a_stream_that_ends_ok_too_early_is_resumed(server, say, fake_time):
    """The service ends a watch only after the terminal event: any other end is a break."""
    server.on("WatchTask", [say.event(1)], [say.event(2, "SUCCEEDED")])
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert seqs(client.watch("task_1")) == [1, 2]


def test_a_watch_from_the_terminal_event_is_empty(server):
    """after_seq of the last event: nothing is left to say, which is no error."""
    server.on("WatchTask", [])
    with Client(server.address) as client:
        assert seqs(client.watch("task_1", after_seq=9)) == []
    assert server.received["WatchTask"][0].after_seq == 9


def test_a_resumed_watch_must_end_with_the_task_too(server, say, fake_time):
    """Once there was news, an empty stream is a break and no longer the end."""
    server.on("WatchTask", [say.event(2)], [], [say.event(3, "SUCCEEDED")])
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert seqs(client.watch("task_1", after_seq=1)) == [2, 3]


async def test_leaving_a_watch_frees_the_server(server, say):
    """A caller that stops reading holds no stream open, though its client lives on."""
    server.on("WatchTask", *[[say.event(1), say.Hang()]] * 2)
    with Client(server.address) as client:
        events = client.watch("task_1")
        next(events)
        events.close()
        assert await asyncio.to_thread(server.abandoned.wait, 60)
    server.abandoned.clear()
    async with AsyncClient(server.address) as async_client:
        async_events = async_client.watch("task_1")
        await anext(async_events)
        await async_events.aclose()
        assert await asyncio.to_thread(server.abandoned.wait, 60)


def test_a_watch_survives_a_restart_in_its_middle(server, say, fake_time):
    """The server is stopped under the stream and comes back on its port."""
    server.on("WatchTask", [say.event(1), say.Hang()], [say.event(2, "SUCCEEDED")])
    fake_time.during_sleep = server.start
    with Client(server.address, sleep=fake_time.sleep) as client:
        events = client.watch("task_1")
        assert next(events).seq == 1
        server.stop()
        assert seqs(events) == [2]


async def test_an_async_watch_survives_a_restart_in_its_middle(server, say, fake_time):
    """The async face keeps the same rule."""
    server.on("WatchTask", [say.event(1), say.Hang()], [say.event(2, "SUCCEEDED")])
    fake_time.during_sleep = server.start
    seen = []
    async with AsyncClient(server.address, sleep=fake_time.sleep_async) as client:
        async for event in client.watch("task_1"):
            seen.append(event.seq)
            server.stop() if event.seq == 1 else None
    assert seen == [1, 2]


def test_a_watch_without_progress_is_given_up(server, say, fake_time):
    """Repeated events are no progress: after the patience the caller gets the error."""
    server.on("WatchTask", [say.event(1), say.Refusal()], *[[say.event(1), say.Refusal()]] * 9)
    pace = fake_time.pace(patience_seconds=1.0)
    with Client(server.address, pace=pace, sleep=fake_time.sleep) as client, pytest.raises(Unavailable):
        list(client.watch("task_1"))
    assert sum(fake_time.slept) <= 1.0


def test_the_watch_limit_is_the_callers_business(server, say, fake_time):
    """WATCH_LIMIT asks for another connection; trying again on this one would not help."""
    server.on("WatchTask", [say.Refusal(code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="WATCH_LIMIT")])
    with Client(server.address, sleep=fake_time.sleep) as client, pytest.raises(ResourceExhausted):
        list(client.watch("task_1"))
    assert fake_time.slept == []


async def test_wait_answers_the_final_task_however_it_ended(server, say):
    """A failed task is an answer, not an exception; succeeded() makes it one."""
    error = {"reason": "CONTENT_REFUSED", "message": "The vendor refused the picture."}
    server.on("WatchTask", [say.event(1), say.event(2, "FAILED", error=error)])
    async with AsyncClient(server.address) as client:
        task = await client.wait("task_1")
    with pytest.raises(TaskFailed, match="refused the picture") as failed:
        succeeded(task)
    assert failed.value.reason == "CONTENT_REFUSED"
    assert failed.value.task == task


def test_succeeded_hands_on_a_task_that_did(say):
    """So that it can stand around a wait()."""
    task = say.task("SUCCEEDED")
    assert succeeded(task) is task
    with pytest.raises(TaskFailed, match="CANCELLED"):
        succeeded(say.task("CANCELLED"))
