"""When calls are tried again, with what, and when they are given up."""

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit_client import AsyncClient, Client, ResourceExhausted, Unavailable
from imageedit_client.errors import DeadlineExceeded, ImageEditError, SlowConsumer
from imageedit_client.hints import CONNECTIONS
from imageedit_client.retry import Retry, is_transient
from imageedit_client.streams import StreamRetry

REFUSED = Unavailable("connection refused", code=grpc.StatusCode.UNAVAILABLE)


def try_for_ever(retry, fake_time):
    while True:
        fake_time.sleep(retry.delay_after(REFUSED))


def test_backoff_doubles_from_a_tenth_of_a_second_to_two_seconds(fake_time):
    """The longest delays are 0.1, 0.2, 0.4 … and never above 2 seconds."""
    retry = Retry(fake_time.pace(), 60.0)
    delays = [retry.delay_after(REFUSED) for _ in range(7)]
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])


def test_jitter_takes_away_up_to_half_of_a_delay(fake_time):
    """Clients of one restarted server do not come back in step."""
    pace = fake_time.pace()
    lowest = type(pace)(clock=pace.clock, dice=lambda: 0.0)
    assert Retry(lowest, 60.0).delay_after(REFUSED) == pytest.approx(0.05)


def test_the_services_own_delay_is_honoured_when_it_is_longer(fake_time):
    """RetryInfo says how long waiting helps."""
    busy = Unavailable("busy", code=grpc.StatusCode.UNAVAILABLE, reason="STORE_BUSY", retry_after=7.5)
    assert Retry(fake_time.pace(), 60.0).delay_after(busy) == 7.5


def test_a_call_is_given_up_when_the_next_try_would_be_too_late(fake_time):
    """All tries and all delays fit in the budget; the last error is what the caller gets."""
    retry = Retry(fake_time.pace(), 1.0)
    with pytest.raises(Unavailable) as given_up:
        try_for_ever(retry, fake_time)
    assert given_up.value is REFUSED
    assert sum(fake_time.slept) == pytest.approx(0.7)


def test_a_deadline_does_not_hide_why_the_tries_before_it_failed(fake_time):
    """The last try is cut short by the deadline: the caller learns that the server was unreachable."""
    retry = Retry(fake_time.pace(), 60.0)
    retry.delay_after(REFUSED)
    with pytest.raises(Unavailable):
        retry.delay_after(DeadlineExceeded("cut", code=grpc.StatusCode.DEADLINE_EXCEEDED))


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (REFUSED, True),
        (SlowConsumer("slow", code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="SLOW_CONSUMER"), True),
        (ImageEditError("stopped", code=grpc.StatusCode.CANCELLED), True),
        (ImageEditError("cancelled", code=grpc.StatusCode.CANCELLED, reason="SOMETHING"), False),
        (ResourceExhausted("quota", code=grpc.StatusCode.RESOURCE_EXHAUSTED, reason="WATCH_LIMIT"), False),
        (DeadlineExceeded("late", code=grpc.StatusCode.DEADLINE_EXCEEDED), False),
        (ImageEditError("Internal error from Core", code=grpc.StatusCode.INTERNAL), True),
        (ImageEditError("bug", code=grpc.StatusCode.INTERNAL, reason="INTERNAL_ERROR"), False),
        (ImageEditError("Stream removed", code=grpc.StatusCode.UNKNOWN), True),
        (ImageEditError("unheard of", code=grpc.StatusCode.UNKNOWN, reason="OF_TOMORROW"), False),
        (ImageEditError("a proxy's 413", code=grpc.StatusCode.UNKNOWN, lasting=True), False),
        (Unavailable("WRONG_VERSION_NUMBER", code=grpc.StatusCode.UNAVAILABLE, lasting=True), False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error, transient):
    """Everything else is the caller's to decide."""
    assert is_transient(error) is transient


def told_by(address: str, hint: str) -> Unavailable:
    """A try at one of the addresses of a name."""
    message = f"failed to connect to all addresses; last error: UNKNOWN: {address}: {hint}"
    return Unavailable(message, code=grpc.StatusCode.UNAVAILABLE, hint=hint)


V4, V6 = "ipv4:127.0.0.1:50051", "ipv6:%5B::1%5D:50051"
TLS, REFUSAL = CONNECTIONS[-3].remedy, CONNECTIONS[-1].remedy


@pytest.mark.parametrize(
    ("tries", "named"),
    [
        ([(V4, TLS), (V6, REFUSAL)], TLS),
        ([(V6, REFUSAL), (V4, TLS), (V6, REFUSAL), (V6, REFUSAL)], TLS),
        ([(V6, REFUSAL), (V4, "")], REFUSAL),
        ([(V4, TLS), (V4, REFUSAL)], REFUSAL),
        ([(V4, TLS), (V6, TLS), (V6, REFUSAL), (V4, REFUSAL)], REFUSAL),
    ],
)
def test_of_the_addresses_of_a_name_the_one_that_explains_most_is_heard(fake_time, tries, named):
    """Each by what it said last: a server that was stopped meanwhile refuses at all of them."""
    told = []
    retry = Retry(fake_time.pace(on_retry=lambda error, delay: told.append(error.hint)), 60.0)
    for address, hint in tries:
        fake_time.sleep(retry.delay_after(told_by(address, hint)))
    assert told[-1] == named
    with pytest.raises(Unavailable) as given_up:
        retry.delay_after(DeadlineExceeded("cut", code=grpc.StatusCode.DEADLINE_EXCEEDED))
    assert given_up.value.hint == named


def test_an_answer_is_news_whatever_the_connection_was_before(fake_time):
    """And so is a connection that is lost again."""
    told = []
    retry = Retry(fake_time.pace(on_retry=lambda error, delay: told.append(error)), 60.0)
    busy = Unavailable("busy", code=grpc.StatusCode.UNAVAILABLE, reason="STORE_BUSY")
    tries = [told_by(V4, TLS), busy, told_by(V6, REFUSAL)]
    for each in tries:
        retry.delay_after(each)
    assert told == tries


def test_a_stream_is_given_up_only_after_its_patience_without_a_message(fake_time):
    """The patience counts from the first failure, and any message starts it anew."""
    retry = StreamRetry(fake_time.pace(patience_seconds=1.0))
    for _ in range(5):
        fake_time.sleep(3600.0)
        retry.alive()
        fake_time.sleep(retry.delay_after(REFUSED))
    with pytest.raises(Unavailable):
        try_for_ever(retry, fake_time)


def test_a_stream_that_outlives_its_own_deadline_is_opened_again_at_once(fake_time):
    """Streams are cut now and then; only one that said nothing until then is an error."""
    late = DeadlineExceeded("cut", code=grpc.StatusCode.DEADLINE_EXCEEDED)
    retry = StreamRetry(fake_time.pace())
    retry.alive()
    assert retry.delay_after(late) == 0.0
    with pytest.raises(DeadlineExceeded):
        retry.delay_after(late)


@pytest.mark.parametrize(("patience", "seconds"), [(5.0, 45.0), (60.0, 60.0)])
def test_no_watch_is_cut_before_its_heartbeats(fake_time, patience, seconds):
    """A healthy watch may be silent for 15 seconds; a stream lives three times as long at least."""
    assert StreamRetry(fake_time.pace(patience_seconds=patience)).try_seconds == seconds


def test_sync_creates_repeat_the_same_request_id(server, say, fake_time):
    """A retried create carries the key of the first try, so it can never make a second task."""
    server.on("EditImage", say.Refusal(), say.Refusal(reason="DRAINING"))
    server.on("EditImage", service_pb2.EditImageResponse(task=say.task("QUEUED")))
    with Client(server.address, pace=fake_time.pace(), sleep=fake_time.sleep) as client:
        client.edit_image("warmer", ["sha256:aa"])
    keys = [request.request_id for request in server.received["EditImage"]]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert len(keys[0]) == 36
    assert fake_time.slept == pytest.approx([0.1, 0.2])


async def test_async_creates_repeat_the_same_request_id(server, say, fake_time):
    """The async face keeps the same rule, for every kind of create."""
    server.on("EditImage", say.Refusal(), service_pb2.EditImageResponse(task=say.task("QUEUED")))
    server.on("CreateModelEdit", say.Refusal(), service_pb2.CreateModelEditResponse())
    server.on("CreateDefaultModel", say.Refusal(), service_pb2.CreateDefaultModelResponse())
    async with AsyncClient(server.address, pace=fake_time.pace(), sleep=fake_time.sleep_async) as client:
        await client.edit_image("warmer", ["sha256:aa"])
        await client.create_model_edit("task_1", "short hair", user_id="ann")
        await client.create_default_model("sha256:aa", user_id="ann")
    for method in ("EditImage", "CreateModelEdit", "CreateDefaultModel"):
        first, second = server.received[method]
        assert first.request_id
        assert first == second


def test_two_creates_have_two_keys(server, say):
    """The key is made per call, not per client."""
    server.on("EditImage", *[service_pb2.EditImageResponse(task=say.task())] * 2)
    with Client(server.address) as client:
        client.edit_image("warmer", ["sha256:aa"])
        client.edit_image("warmer", ["sha256:aa"])
    first, second = server.received["EditImage"]
    assert first.request_id != second.request_id


def test_the_callers_own_key_is_sent_as_it_is(server, say):
    """A caller with a key of its own is idempotent across processes."""
    server.on("EditImage", service_pb2.EditImageResponse(task=say.task()))
    with Client(server.address) as client:
        client.edit_image("warmer", ["sha256:aa"], request_id="order-17")
    assert server.received["EditImage"][0].request_id == "order-17"


def test_a_refusal_is_not_tried_again(server, say, fake_time):
    """Only UNAVAILABLE is repeated."""
    server.on("GetTask", say.Refusal(code=grpc.StatusCode.NOT_FOUND, reason="TASK_NOT_FOUND"))
    with Client(server.address, sleep=fake_time.sleep) as client, pytest.raises(ImageEditError):
        client.get("task_1")
    assert len(server.received["GetTask"]) == 1
    assert fake_time.slept == []


def test_a_restart_of_the_server_is_bridged_by_the_sync_face(server, say, fake_time):
    """The call begins while nobody listens and ends well when the server is back on its port."""
    server.on("GetTask", service_pb2.GetTaskResponse(task=say.task("QUEUED")))
    server.stop()
    fake_time.during_sleep = server.start
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert client.get("task_1").task_id == say.task().task_id


async def test_a_restart_of_the_server_is_bridged_by_the_async_face(server, say, fake_time):
    """A connection that was in use breaks and is made again."""
    server.on("GetTask", *[service_pb2.GetTaskResponse(task=say.task("QUEUED"))] * 2)
    async with AsyncClient(server.address, sleep=fake_time.sleep_async) as client:
        await client.get("task_1")
        server.stop()
        fake_time.during_sleep = server.start
        assert (await client.get("task_1")).task_id == say.task().task_id


def test_each_failed_try_is_told(server, say, fake_time):
    """on_retry hears the error and the delay before each next try."""
    told = []
    server.on("GetTask", say.Refusal(), say.Refusal(), service_pb2.GetTaskResponse())
    pace = fake_time.pace(on_retry=lambda error, delay: told.append((type(error), delay)))
    with Client(server.address, pace=pace, sleep=fake_time.sleep) as client:
        client.get("task_1")
    assert told == [(Unavailable, 0.1), (Unavailable, 0.2)]
