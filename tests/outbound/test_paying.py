"""A paid call: whatever comes of it is an answer, kept as it came (P31)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from imageedit_server.outbound import limits, paying
from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended, PaidCall
from imageedit_server.outbound.client import NotSent
from tests.leaps import LIMIT, for_ever, leap
from tests.outbound.conftest import MakeClient
from tests.outbound.servers import Reader, Writer, read_call, reply, reset, serve, serve_raw

CALL = PaidCall(path="/paid", json={"a": 1}, limit_seconds=LIMIT, brief={"n": 1})


class Written:
    """A place that writes down what it is told; ``fails`` says at what it breaks."""

    def __init__(self, fails: str = "") -> None:
        self.told: list[Any] = []
        self.has_begun = asyncio.Event()
        self._fails = fails

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self._take("head", status)

    def piece(self, data: bytes) -> None:
        self._take("piece", data)

    def end(self, ended: Ended, note: str) -> None:
        self._take("end", ended)

    def _take(self, what: str, value: object) -> None:
        if self._fails == what:
            raise OSError("the disk is full")
        self.told.append(value)
        if what == "piece":
            self.has_begun.set()

    @property
    def body(self) -> bytes:
        return b"".join(each for each in self.told if isinstance(each, bytes))


def sends(*pieces: bytes, then: Callable[[Writer], Any] | None = None) -> Callable[[Reader, Writer], Any]:
    async def handler(reader: Reader, writer: Writer) -> None:
        await read_call(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        if then is not None:
            await then(writer)

    return handler


HEAD = b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n"


async def hangs(writer: Writer) -> None:
    await asyncio.sleep(0.01)
    leap()
    await for_ever()


async def breaks(writer: Writer) -> None:
    await asyncio.sleep(0.02)  # a reset would overtake what was sent
    reset(writer)


ENDS = {
    "whole": (sends(HEAD, b"0123456789"), 200, b"0123456789", Ended.WHOLE),
    "an error": (sends(b"HTTP/1.1 500 X\r\nContent-Length: 2\r\n\r\nno"), 500, b"no", Ended.WHOLE),
    "a redirect elsewhere": (
        sends(b"HTTP/1.1 302 X\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"),
        302,
        b"",
        Ended.WHOLE,
    ),
    "compressed": (
        sends(b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b"),
        200,
        b"\x1f\x8b",
        Ended.WHOLE,
    ),
    "cut": (sends(HEAD, b"0123"), 200, b"0123", Ended.CUT),
    "reset": (sends(HEAD, b"0123", then=breaks), 200, b"0123", Ended.CUT),
    "no head": (sends(), NO_HEAD, b"", Ended.CUT),
    "late": (sends(HEAD, b"0123", then=hangs), 200, b"0123", Ended.LATE),
    "no head in time": (sends(then=hangs), NO_HEAD, b"", Ended.LATE),
    "too long": (
        sends(b"HTTP/1.1 200 X\r\nContent-Length: 90\r\n\r\n", b"x" * 90),
        200,
        b"x" * 16,
        Ended.TOO_LONG,
    ),
}


@pytest.mark.parametrize("case", ENDS)
async def test_every_end_is_an_answer(client: MakeClient, case: str) -> None:
    handler, status, body, ended = ENDS[case]
    place = Written()
    async with serve_raw(handler) as server:
        answer = await client(server.url).pay(replace(CALL, max_body_bytes=16), place)
    assert (answer.status, answer.body, answer.ended) == (status, body, ended)
    assert bool(answer.note) is (ended is not Ended.WHOLE)
    assert place.told == [*([status] if status else []), *([body] if body else []), ended]
    assert answer.brief == {"n": 1}
    assert answer.call_time <= answer.answer_time


async def test_a_vendor_that_is_not_there_has_no_answer(client: MakeClient) -> None:
    place = Written()
    with pytest.raises(NotSent):
        await client("http://127.0.0.1:1").pay(CALL, place)
    assert place.told == []


async def test_the_last_reply_after_a_redirect_is_the_answer(client: MakeClient) -> None:
    place = Written()
    async with serve(reply(307, Location="/paid/"), reply(200, b"done")) as server:
        answer = await client(server.url).pay(CALL, place)
    assert (answer.status, answer.body) == (200, b"done")
    assert place.told == [200, b"done", Ended.WHOLE]
    assert [call.body for call in server.calls] == [b'{"a":1}'] * 2


@pytest.mark.parametrize("fails", ["head", "piece", "end"])
async def test_a_place_that_fails_costs_nothing(client: MakeClient, fails: str) -> None:
    async with serve(reply(200, b"done")) as server:
        assert (await client(server.url).pay(CALL, Written(fails))).body == b"done"


async def test_a_call_that_is_cancelled_has_its_end_written(client: MakeClient) -> None:
    place = Written()
    async with serve_raw(sends(HEAD, b"0123", then=lambda _: for_ever())) as server:
        task = asyncio.create_task(client(server.url).pay(CALL, place))
        await place.has_begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert place.told == [200, b"0123", Ended.CUT]


# Onlookers


async def test_an_onlooker_sees_the_pieces_as_they_come_and_may_say_that_it_is_enough(
    client: MakeClient,
) -> None:
    seen: list[bytes] = []

    async def look(status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]) -> bool:
        assert (status, headers["content-length"]) == (200, "10")
        async for piece in pieces:
            seen.append(piece)
            if b"4" in piece:
                return True
        return False

    async with serve_raw(sends(HEAD, b"01234", then=lambda _: for_ever())) as server:
        answer = await client(server.url).pay(replace(CALL, onlooker=look), None)
    assert (answer.body, answer.ended) == (b"01234", Ended.WHOLE)
    assert b"".join(seen) == b"01234"


@pytest.mark.parametrize("trouble", ["fails", "hangs"])
async def test_an_onlooker_neither_fails_nor_holds_up_the_answer(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(paying, "ONLOOKER_SECONDS", 0.01)
    place = Written()

    async def look(status: int, headers: Mapping[str, str], pieces: AsyncIterator[bytes]) -> bool:
        if trouble == "fails":
            raise RuntimeError("no preview")
        await for_ever()
        return False

    async with serve(reply(200, b"0123456789")) as server:
        answer = await client(server.url).pay(replace(CALL, onlooker=look), place)
    assert (answer.body, answer.ended) == (b"0123456789", Ended.WHOLE)
    assert place.body == b"0123456789"


# Stalls


async def stalled(client: MakeClient, handler: Callable[[Reader, Writer], Any]) -> Answer:
    async with serve_raw(handler) as server:
        return await client(server.url).pay(CALL, None)


async def test_what_lies_in_the_socket_after_a_stall_is_read(
    client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process wakes long after its timer was due: timer and bytes are there in one round."""
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.5)

    async def stop(writer: Writer) -> None:
        await asyncio.sleep(0.01)
        leap(LIMIT + 60)
        writer.write(b"456789")
        await writer.drain()
        await for_ever()

    answer = await stalled(client, sends(HEAD, b"0123", then=stop))
    assert (answer.body, answer.ended) == (b"0123456789", Ended.WHOLE)


async def test_a_limit_grows_once_only(client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.5)

    async def drip(writer: Writer) -> None:
        while True:
            leap(LIMIT + 60)
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.001)

    answer = await stalled(client, sends(b"HTTP/1.1 200 X\r\nContent-Length: 1000000\r\n\r\n", then=drip))
    assert answer.ended is Ended.LATE
    assert len(answer.body) < 100
