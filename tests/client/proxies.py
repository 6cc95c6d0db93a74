"""A proxy by hand: what real ones put on the wire when the service is gone or a call is not let by.

Written down from nginx 1.22 and haproxy 2.6 in front of a gRPC server, frame by frame.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from google.protobuf.message import Message

from tests.rpc.http2 import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    block,
    frame,
)

Step = Callable[[int], bytes]
"""What is sent on a stream, in the bytes of its frames."""
HANG_UP = b""


class Proxy:
    """Answers each call by its next step, when the first message of it is there."""

    def __init__(self, *steps: bytes | Step) -> None:
        self.calls: list[bytes] = []
        """The first message of each call."""
        self._steps = deque(steps)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Ends all connections, and takes no more."""
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._speak, args=(connection,), daemon=True).start()

    def _speak(self, connection: socket.socket) -> None:
        with suppress(OSError, EOFError), connection, connection.makefile("rb") as reader:
            reader.read(len(PREFACE))
            connection.sendall(frame(SETTINGS))
            while head := reader.read(9):
                body = reader.read(int.from_bytes(head[:3], "big"))
                if not self._answer(connection, head, body):
                    connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, connection: socket.socket, head: bytes, body: bytes) -> bool:
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        if kind in {SETTINGS, PING} and not flags & ACK:
            connection.sendall(frame(kind, body if kind == PING else b"", flags=ACK))
        if kind != DATA or len(body) < 5 or not self._steps:
            return True
        self.calls.append(body[5:])
        step = self._steps.popleft()
        sent = step if isinstance(step, bytes) else step(stream)
        connection.sendall(sent)
        return sent != HANG_UP


@contextmanager
def proxy(*steps: bytes | Step) -> Iterator[Proxy]:
    """A proxy that plays the steps, one a call."""
    found = Proxy(*steps)
    try:
        yield found
    finally:
        found.close()


def begun(*messages: Message) -> Step:
    """An answer of the service that has begun."""

    def frames(stream: int) -> bytes:
        head = block([(b":status", b"200"), (b"content-type", b"application/grpc")])
        packed = (message.SerializeToString() for message in messages)
        told = b"".join(b"\0" + len(each).to_bytes(4, "big") + each for each in packed)
        return frame(HEADERS, head, stream=stream, flags=END_HEADERS) + frame(DATA, told, stream=stream)

    return frames


def after(first: Step, then: Step) -> Step:
    """One after the other."""
    return lambda stream: first(stream) + then(stream)


def whole(*messages: Message) -> Step:
    """A whole answer of the service."""
    return after(begun(*messages), trailers((b"grpc-status", b"0")))


def trailers(*headers: tuple[bytes, bytes]) -> Step:
    """The end of an answer."""
    return lambda stream: frame(HEADERS, block(headers), stream=stream, flags=END_HEADERS | END_STREAM)


def cut_short(stream: int) -> bytes:
    """nginx and haproxy, when the server dies under an answer: an end without a status of gRPC's."""
    return frame(DATA, stream=stream, flags=END_STREAM)


def reset(code: int) -> Step:
    """nginx, when the server is silent for too long: 2; Envoy, when it stops: 8."""
    return lambda stream: frame(RST_STREAM, code.to_bytes(4, "big"), stream=stream)


def going_away(stream: int) -> bytes:
    """Whoever is stopped in an orderly way, and ends the call all the same."""
    return frame(GOAWAY, (stream - 2 if stream > 1 else 0).to_bytes(4, "big") + bytes(4))


def page(status: int) -> Step:
    """A web page of the proxy's own, as nginx makes them."""

    def frames(stream: int) -> bytes:
        head = [(b":status", b"%d" % status), (b"server", b"nginx"), (b"content-type", b"text/html")]
        html = b"<html>\r\n<head><title>%d</title></head>\r\n</html>\r\n" % status
        return frame(HEADERS, block(head), stream=stream, flags=END_HEADERS) + frame(
            DATA, html, stream=stream, flags=END_STREAM
        )

    return frames


def refusal(code: int, message: bytes) -> Step:
    """What Envoy and proxies in Go make of it: an answer of gRPC's without the service's reason."""
    head = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"%d" % code)]
    return trailers(*head, (b"grpc-message", message))
