"""A stranger: no key, frames and requests by hand at both doors, through kills and restarts (P16, P25)."""

import asyncio
import json
import re
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from random import Random

import grpc

from tests.rpc import http2
from tests.rpc.attacks import ATTACKS, Attack
from tests.rpc.http2 import GOAWAY, HEADERS, LIST_MODELS, PING, RST_STREAM, SETTINGS, frame, head
from tests.servers.doorway import Doorway
from tests.storm.traffic import Traffic
from tests.storm.vendors import Vendors

BYTES_PER_SECOND = 2_000_000
"""On the one connection at a time that goes to the gRPC door."""
ATTACK_BYTES = 2_000_000
AT_ONCE_BYTES = 16_384
PATIENCE_SECONDS = 2.0
PAUSE_SECONDS = 0.05
MOST_HALVES = 20
HEALTH_WATCH = b"/grpc.health.v1.Health/Watch"
STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")
CODES = {code.value[0]: code.name for code in grpc.StatusCode}
PROBLEMS = {RST_STREAM: "RST_STREAM", GOAWAY: "GOAWAY"}


@dataclass
class Stranger:
    """One that sends to whatever server stands behind two doorways just now, until told to stop.

    ``vendors`` are robbed of the tokens of their callbacks.
    """

    grpc_door: Doorway
    http_door: Doorway
    vendors: Vendors
    dice: Random
    bytes_per_second: float = BYTES_PER_SECOND
    traffic: Traffic = field(default_factory=Traffic)
    broken: list[tuple[str, str]] = field(default_factory=list)

    async def work(self, stop: asyncio.Event) -> None:
        """Send to both doors at once."""
        await asyncio.gather(self._attack_grpc(stop), self._attack_http(stop))

    # The gRPC door

    async def _attack_grpc(self, stop: asyncio.Event) -> None:
        attacks = [*ATTACKS, unread, settings, pings]
        self.dice.shuffle(attacks)
        for number in count():
            if stop.is_set():
                return
            address = self.grpc_door.target
            with suppress(OSError, TimeoutError, AssertionError):
                if address:
                    await self._knock(address)
                    await self._send(address, attacks[number % len(attacks)], stop)
                    continue
            await asyncio.sleep(PAUSE_SECONDS)

    async def _knock(self, address: str) -> None:
        """Call as a client would that has no key: the proof that it came through."""
        async with asyncio.timeout(PATIENCE_SECONDS), http2.peer(address) as peer:
            await peer.send(http2.call(head()))
            self.traffic.calls += 1
            self.traffic.answers[CODES[await peer.status()]] += 1

    async def _send(self, address: str, attack: Attack, stop: asyncio.Event) -> None:
        """Send one attack on a connection of its own; of the last, not even the answers are read."""
        began, sent = time.monotonic(), 0
        async with http2.peer(address, reads=attack is not unread) as peer:
            for piece, calls in volley(attack):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await peer.send(piece)
                sent += len(piece)
                self.traffic.sent_bytes += len(piece)
                self.traffic.calls += calls
                await asyncio.sleep(max(began + sent / self.bytes_per_second - time.monotonic(), 0))
                if peer.writer.is_closing() or stop.is_set() or self.grpc_door.target != address:
                    break
            self._count(peer)

    def _count(self, peer: http2.Peer) -> None:
        for each in peer.frames:
            if each.kind in PROBLEMS:
                reason = int.from_bytes(each.body[:4] if each.kind == RST_STREAM else each.body[4:8], "big")
                self.traffic.answers[f"{PROBLEMS[each.kind]} {reason}"] += 1
            elif each.kind == HEADERS:
                self.traffic.answers["ANSWER"] += 1

    # The HTTP door

    async def _attack_http(self, stop: asyncio.Event) -> None:
        halves: list[asyncio.StreamWriter] = []
        try:
            while not stop.is_set():
                with suppress(OSError, TimeoutError):
                    if self.http_door.target:
                        await self._ask(self.dice.choice((self._callback, malformed)), halves)
                await asyncio.sleep(PAUSE_SECONDS * self.dice.random())
        finally:
            for half in halves:
                await _hang_up(half)

    async def _ask(self, request: Callable[[Random], bytes], halves: list[asyncio.StreamWriter]) -> None:
        """Send one request, or the half of one that is left to wait for the rest."""
        host, _, port = self.http_door.target.rpartition(":")
        content = request(self.dice)
        reader, writer = await asyncio.open_connection(host, int(port))
        is_half = self.dice.random() < 0.3
        content = content[: self.dice.randrange(1, len(content))] if is_half else content
        self.traffic.calls += 1
        self.traffic.sent_bytes += len(content)
        writer.write(content)
        if is_half:
            halves.append(writer)
            if len(halves) > MOST_HALVES:
                await _hang_up(halves.pop(0))
            return
        try:
            async with asyncio.timeout(PATIENCE_SECONDS / 4):
                answer = await reader.read(1024)
            status = STATUS.match(answer)
            self.traffic.answers[f"HTTP {status[1].decode()}" if status else "hung up"] += 1
            if status and status[1] == b"200" and b"/callbacks/kie/" + MADE_UP.encode() in content:
                self.broken.append(("trespassed", "a callback with a token of nobody's was taken"))
        finally:
            await _hang_up(writer)

    def _callback(self, dice: Random) -> bytes:
        """Lie about work, with a token that was stolen or made up.

        What one who knows a token may do is to make the server ask the vendor: it names the work that is
        known already, or after that any other, and claims what it likes.
        """
        heard = [each for each in self.vendors.charges() if each.vendor_task_id in self.vendors.heard]
        token, task_id = MADE_UP + dice.randbytes(32).hex()[len(MADE_UP) : 43], "made-up"
        if heard and dice.random() < 0.6:
            token, task_id = (
                dice.choice(heard).token,
                dice.choice((dice.choice(heard).vendor_task_id, task_id)),
            )
        state = dice.choice(("fail", "success", "generating"))
        elsewhere = json.dumps({"resultUrls": ["http://169.254.169.254/latest"]})
        data = {"taskId": task_id, "state": state, "resultJson": elsewhere}
        body = json.dumps({"code": 200, "data": data}).encode()
        return _post(b"/callbacks/kie/" + token.encode(), body)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def malformed(dice: Random) -> bytes:
    """A request as no client would send it (F74)."""
    return dice.choice(MALFORMED)


def _post(path: bytes, body: bytes, *more: bytes) -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *more, b"", body]
    return b"\r\n".join(lines)


MADE_UP = "made-up-"
NOBODY = b"/callbacks/kie/" + (MADE_UP + "a" * 35).encode()
MALFORMED = (
    _post(NOBODY, b"5\r\nhello\r\n0\r\n\r\n", b"Transfer-Encoding: chunked"),
    _post(NOBODY, b"{}", b"Content-Length: 3"),
    _post(NOBODY, b"{}", b" folded: yes"),
    _post(NOBODY, b"{}").replace(b"\r\n", b"\n"),
    _post(NOBODY, b"x" * 70_000),
    b"POST "
    + NOBODY
    + b" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n",
    b"POST " + NOBODY + b" HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    _post(b"/callbacks/" + b"../" * 50 + b"%00", b"{}"),
    _post(b"/callbacks/nobody/" + b"a" * 43, b"{}"),
    _post(NOBODY, b"[" * 60_000),
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-Long: y\r\n" * 2_000 + b"\r\n",
    http2.PREFACE + frame(SETTINGS),
    b"\x16\x03\x01" + bytes(500),
)


# Attacks with a key of nobody, besides those of tests/rpc


def unread() -> Iterator[bytes]:
    """Watches of the health, which are open to all, and calls, of whose answers nothing is read."""
    yield frame(SETTINGS, struct.pack(">HI", 4, 0))
    for stream in count(1, 2):
        yield http2.call(head(path=HEALTH_WATCH if stream % 4 == 1 else LIST_MODELS), stream)


def settings() -> Iterator[bytes]:
    """Settings, each of which is to be confirmed."""
    while True:
        yield frame(SETTINGS, struct.pack(">HI", 3, 100) * 20)


def pings() -> Iterator[bytes]:
    """Pings, each of which is to be answered."""
    while True:
        yield frame(PING, b"12345678")


@cache
def volley(attack: Attack) -> Sequence[tuple[bytes, int]]:
    """Return ``ATTACK_BYTES`` of an attack in pieces of a packet or a few, and how many calls each is."""
    pieces: list[tuple[bytes, int]] = []
    held, calls, left = b"", 0, ATTACK_BYTES
    for each in attack():
        held, calls = held + each, calls + (each[3] == HEADERS)
        if len(held) >= AT_ONCE_BYTES:
            pieces.append((held, calls))
            left -= len(held)
            held, calls = b"", 0
        if left <= 0:
            break
    return pieces
