"""Answers that come before the request is whole: they must not be lost with the connection."""

import asyncio
import itertools
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpcore
import pytest

from imageedit_server.outbound import stream
from imageedit_server.outbound.client import ApiClient, Broken, Part, Reply
from tests.leaps import LIMIT, for_ever
from tests.outbound.servers import Reader, Writer, read_call, reply, reset, serve, serve_raw, server_tls
from tests.outbound.worlds import World, trust

MOST_IN_FLIGHT = 64 * 1024 * 1024
"""Far more than the kernel buffers on both sides of a connection."""

BIG = Part("image", bytes(8_000_000), "a.png", "image/png")


@contextmanager
def answers_early(*answers: bytes, certificate: str = "") -> Iterator[tuple[int, list[str]]]:
    """Answer when the head of a request is read, linger, and close on the unread rest, which is a reset.

    As Go's and nginx's servers do. In a thread of its own: one in the client's loop would never be first.
    """
    left, lines = list(answers), []
    listener = socket.create_server(("127.0.0.1", 0))
    tls = server_tls(certificate) if certificate else None

    def work() -> None:
        while left:
            connection, _ = listener.accept()
            with suppress(OSError), connection if tls is None else tls.wrap_socket(connection, True) as wire:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += wire.recv(1024)
                lines.append(head.decode("latin-1").split("\r\n")[0])
                wire.sendall(left.pop(0))
                time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    yield listener.getsockname()[1], lines
    left.clear()
    thread.join()
    listener.close()


async def upload(port: int, certificate: str) -> Reply:
    world = World({"good.example": [("127.0.0.1",)]}, {"127.0.0.1": port})
    url = "https://good.example" if certificate else f"http://127.0.0.1:{port}"
    vendor = ApiClient(url, {}, trust=trust(world))
    try:
        return await vendor.send("POST", "/edits/", parts=[BIG], limit_seconds=LIMIT)
    finally:
        await vendor.aclose()


@pytest.mark.parametrize("certificate", ["", "good.example"])
@pytest.mark.parametrize("status", [401, 413, 500])
async def test_an_early_answer_is_the_reply(status: int, certificate: str) -> None:
    with answers_early(reply(status, b"no"), certificate=certificate) as (port, lines):
        got = await upload(port, certificate)
    assert (got.status, got.body) == (status, b"no")
    assert len(lines) == 1


@pytest.mark.parametrize("certificate", ["", "good.example"])
async def test_an_early_307_is_followed(certificate: str) -> None:
    first = reply(307, b"", Location="/edits", Connection="close")
    with answers_early(first, reply(200, b"yes"), certificate=certificate) as (port, lines):
        got = await upload(port, certificate)
    assert (got.status, got.body) == (200, b"yes")
    assert lines == ["POST /edits/ HTTP/1.1", "POST /edits HTTP/1.1"]


@pytest.mark.parametrize("certificate", ["", "good.example"])
async def test_a_whole_request_of_many_megabytes_arrives(certificate: str) -> None:
    async with serve(reply(200, bytes(3_000_000)), certificate=certificate) as server:
        world = World({"good.example": [("127.0.0.1",)]}, {"127.0.0.1": server.port})
        vendor = ApiClient("https://good.example" if certificate else server.url, {}, trust=trust(world))
        got = await vendor.send("POST", "/", parts=[BIG], limit_seconds=LIMIT, max_body_bytes=4_000_000)
        await vendor.aclose()
    assert len(got.body) == 3_000_000
    assert BIG.content in server.calls[0].body


async def test_an_informational_answer_does_not_stop_the_request() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
        call = await read_call(reader)
        writer.write(reply(200, str(len(call.body)).encode()))
        await writer.drain()

    async with serve_raw(handler) as server:
        vendor = ApiClient(server.url, {}, trust=trust())
        got = await vendor.send("POST", "/", parts=[BIG], limit_seconds=LIMIT)
        await vendor.aclose()
    assert int(got.body) > len(BIG.content)


async def test_half_an_early_answer_is_broken() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too")
        await writer.drain()

    async with serve_raw(handler) as server:
        vendor = ApiClient(server.url, {}, trust=trust())
        with pytest.raises(Broken):
            await vendor.send("POST", "/", parts=[BIG], limit_seconds=LIMIT)
        await vendor.aclose()


async def test_what_came_before_a_reset_can_still_be_read() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        writer.write(b"hello")
        await writer.drain()
        await received.wait()
        reset(writer)

    received = asyncio.Event()
    async with serve_raw(handler) as server:
        wire = await stream.connect("127.0.0.1", server.port, LIMIT)
        while not wire.get_extra_info("is_readable"):  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0.001)
        received.set()
        await asyncio.sleep(0.05)  # the reset most likely comes; it takes nothing away
        assert await wire.read(3, timeout=LIMIT) == b"hel"
        assert await wire.read(9, timeout=LIMIT) == b"lo"
        with pytest.raises(httpcore.ReadError):
            await wire.read(1, timeout=LIMIT)
        await wire.aclose()


async def test_what_came_is_read_in_order_whatever_is_asked_for_at_a_time() -> None:
    body = os.urandom(1_000_000)
    async with serve(reply(200, body)) as server:
        wire = await stream.connect("127.0.0.1", server.port, LIMIT)
        await wire.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got = b""
        for most in itertools.cycle((1, 1000, 64 * 1024, MOST_IN_FLIGHT)):
            piece = await wire.read(most, timeout=LIMIT)
            assert len(piece) <= most
            got += piece
            if got.endswith(body):
                break
        await wire.aclose()


async def test_a_reply_is_read_as_much_at_a_time_as_a_connection_holds() -> None:
    class Recorder(World):
        async def connect(self, address: str, port: int, limit_seconds: float) -> httpcore.AsyncNetworkStream:
            wire = await super().connect(address, port, limit_seconds)
            read = wire.read

            async def recorded(max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
                asked.append(max_bytes)
                return await read(max_bytes, timeout)

            wire.read = recorded  # type: ignore[method-assign]
            return wire

    asked: list[int] = []
    async with serve(reply(200, bytes(1000))) as server:
        vendor = ApiClient(server.url, {}, trust=trust(Recorder({})))
        await vendor.send("POST", "/", limit_seconds=LIMIT)
        await vendor.aclose()
    assert set(asked) == {stream.MOST_BUFFERED}


async def test_a_peer_that_sends_for_ever_is_held_back() -> None:
    sent = 0

    async def handler(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        while True:
            writer.write(bytes(64 * 1024))
            await writer.drain()
            sent += 64 * 1024

    async with serve_raw(handler) as server:
        wire = await stream.connect("127.0.0.1", server.port, LIMIT)
        held = -1
        while held != sent:
            held = sent
            assert held < MOST_IN_FLIGHT
            await asyncio.sleep(0.05)
        got = 0
        while got < held + 1_000_000:
            got += len(await wire.read(64 * 1024, timeout=LIMIT))
        await wire.aclose()


async def test_the_kernel_probes_a_silent_connection() -> None:
    async with serve(reply()) as server:
        wire = await stream.connect("127.0.0.1", server.port, LIMIT)
        assert wire.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        await wire.aclose()


async def test_time_limits_have_their_own_errors() -> None:
    async def handler(reader: Reader, writer: Writer) -> None:
        await for_ever()

    async with serve_raw(handler) as server:
        wire = await stream.connect("127.0.0.1", server.port, LIMIT)
        with pytest.raises(httpcore.ReadTimeout):
            await wire.read(1, timeout=0.01)
        with pytest.raises(httpcore.WriteTimeout):
            await wire.write(bytes(50_000_000), timeout=0.05)
        await wire.aclose()


async def test_a_drop_waits_for_nobody_who_ended_his_side_and_reads_nothing() -> None:
    """Asyncio closes by itself what the peer has ended, but first sends all that is left; a drop does not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = await stream.connect("127.0.0.1", listener.getsockname()[1], LIMIT)
        peer, _ = listener.accept()
        with peer:
            writing = asyncio.create_task(wire.write(bytes(MOST_IN_FLIGHT)))
            for _ in range(4 * MOST_IN_FLIGHT // stream.PIECE_BYTES):  # until the kernel takes no more
                await asyncio.sleep(0)
            peer.shutdown(socket.SHUT_WR)
            assert await wire.read(1, timeout=LIMIT) == b""
            with pytest.raises(httpcore.WriteError):
                await writing
            descriptor = wire.get_extra_info("socket").fileno()
            await wire.aclose()
            await wire.aclose()
            for _ in range(3):
                await asyncio.sleep(0)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
