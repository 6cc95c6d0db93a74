"""A proxy that dies or loses the service in the middle is no end of a call; one that refuses it is named."""

import hashlib

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit_client import AsyncClient, Client, ImageEditError
from imageedit_client.cli.exits import sentence
from tests.client.proxies import (
    HANG_UP,
    after,
    begun,
    cut_short,
    going_away,
    page,
    proxy,
    refusal,
    reset,
    trailers,
    whole,
)

MIDDLE = {
    "an end on a frame of data": cut_short,
    "reset, an internal error": reset(2),
    "reset, cancelled": reset(8),
    "reset, refused": reset(7),
    "no status at the end": trailers((b"x-served-by", b"edge")),
    "the server was lost": trailers((b"grpc-status", b"14"), (b"grpc-message", b"transport is closing")),
    "in the words of a proxy in Go": trailers(
        (b"grpc-status", b"2"), (b"grpc-message", b"error reading: EOF")
    ),
    "gone away": going_away,
}
BEFORE = {
    **{f"{status}": page(status) for status in (500, 502, 503, 504, 520, 429)},
    "upstream": refusal(14, b"upstream connect error or disconnect/reset before headers"),
    "unknown": refusal(2, b""),
    "hung up": HANG_UP,
}


@pytest.mark.parametrize("end", MIDDLE.values(), ids=MIDDLE)
def test_a_watch_goes_on_after_a_proxy_lost_the_server(say, fake_time, end) -> None:
    """From the last event that arrived; what was on its way when the end came may be lost with it."""
    first, last = say.event(1), say.event(2, "SUCCEEDED")
    with (
        proxy(after(begun(first), end), whole(first, last)) as between,
        Client(between.address, sleep=fake_time.sleep) as client,
    ):
        assert [event.seq for event in client.watch("task_1")] == [1, 2]
    assert len(between.calls) == 2


async def test_an_async_watch_goes_on_too(say, fake_time) -> None:
    """Through all of it in turn."""
    events = [say.event(seq) for seq in range(1, len(MIDDLE) + 1)]
    steps = [after(begun(*events[:seq]), end) for seq, end in enumerate(MIDDLE.values(), 1)]
    with proxy(*steps, whole(*events, say.event(len(steps) + 1, "SUCCEEDED"))) as between:
        async with AsyncClient(between.address, sleep=fake_time.sleep_async) as client:
            seqs = [event.seq async for event in client.watch("task_1")]
    assert seqs == list(range(1, len(steps) + 2))


@pytest.mark.parametrize("answer", BEFORE.values(), ids=BEFORE)
def test_reads_and_creates_are_repeated(fake_time, answer) -> None:
    """The create with the key of its first try, so that it is one task whatever became of that."""
    created = service_pb2.EditImageResponse(task={"task_id": "task_1"})
    with (
        proxy(answer, whole(service_pb2.ListModelsResponse()), answer, whole(created)) as between,
        Client(between.address, sleep=fake_time.sleep) as client,
    ):
        assert client.list_models() == ()
        assert client.edit_image("warmer", ["sha256:aa"]).task_id == "task_1"
    first, second = map(service_pb2.EditImageRequest.FromString, between.calls[-2:])
    assert first.request_id
    assert first == second


def test_a_download_goes_on_where_it_was_cut(say, fake_time) -> None:
    """What is missing is asked for, and the whole has its SHA-256."""
    picture = b"an edited picture"
    image_id = f"sha256:{hashlib.sha256(picture).hexdigest()}"
    image = service_pb2.DownloadImageResponse(info={"image_id": image_id, "size_bytes": len(picture)})

    def rest(stream: int) -> bytes:
        offset = service_pb2.DownloadImageRequest.FromString(between.calls[-1]).offset
        return whole(image, say.chunk(picture[offset:]))(stream)

    with (
        proxy(after(begun(image, say.chunk(picture[:5])), cut_short), rest) as between,
        Client(between.address, sleep=fake_time.sleep) as client,
    ):
        assert client.download(image_id) == picture
    assert len(between.calls) == 2


REFUSALS = {
    "413": (page(413), "in nginx raise client_max_body_size"),
    "413 in Envoy's words": (refusal(2, b"Payload Too Large"), "in nginx raise client_max_body_size"),
    "400": (page(400), "a proxy or a web server on the way refuses the call"),
    "401": (page(401), "asks for credentials of its own"),
    "403": (page(403), "it is not the service that does"),
    "404": (page(404), "let the proxy pass /imageedit.v1.ImageEditService/ on"),
    "405": (page(405), "a web server answers there"),
    "408": (page(408), "a proxy or a web server on the way"),
    "418": (page(418), "a proxy or a web server on the way"),
    "431": (page(431), "a proxy or a web server on the way"),
    "464": (page(464), "a proxy or a web server on the way"),
    "another service": (refusal(12, b""), "does not know this call"),
    "a rule of Envoy's": (refusal(7, b"RBAC: access denied"), "it is not the service that does"),
    "a token for Envoy": (refusal(16, b"Jwt is missing"), "asks for credentials of its own"),
    "301": (page(301), "names another address"),
}


@pytest.mark.parametrize(("answer", "words"), REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_of_a_proxy_ends_the_call_with_a_hint(fake_time, answer, words) -> None:
    """At once, whichever face asks and whoever made the channel."""
    with proxy(answer, answer, answer) as between:
        with (
            Client(between.address, sleep=fake_time.sleep) as client,
            pytest.raises(ImageEditError) as one,
        ):
            client.get("task_1")
        async with AsyncClient(between.address, sleep=fake_time.sleep_async) as async_client:
            with pytest.raises(ImageEditError) as other:
                await async_client.get("task_1")
        with grpc.insecure_channel(between.address) as channel, pytest.raises(ImageEditError) as third:
            Client(channel=channel, sleep=fake_time.sleep).get("task_1")
    assert fake_time.slept == []
    for error in (one.value, other.value, third.value):
        assert words in error.hint
        assert error.lasting
        told = f" ({error.message})" if error.message else ""
        assert sentence(error, "somewhere:1") == f"refused: {error.hint}{told}".replace("tls=True", "--tls")


def test_a_proxy_that_keeps_losing_the_service_is_named_in_the_end(fake_time) -> None:
    """When the patience is used up; not by the number of a status alone."""
    with proxy(*[page(502)] * 9) as between:
        pace = fake_time.pace(call_seconds=1.0)
        with (
            Client(between.address, pace=pace, sleep=fake_time.sleep) as client,
            pytest.raises(ImageEditError) as caught,
        ):
            client.get("task_1")
    assert sentence(caught.value, "somewhere:1") == (
        "could not reach somewhere:1: a proxy on the way cannot reach the service"
    )


def test_a_web_server_that_answers_well_is_no_service(fake_time) -> None:
    """A page with status 200."""
    with proxy(*[page(200)] * 9) as between:
        pace = fake_time.pace(call_seconds=1.0)
        with (
            Client(between.address, pace=pace, sleep=fake_time.sleep) as client,
            pytest.raises(ImageEditError, match="or no gRPC service"),
        ):
            client.get("task_1")
