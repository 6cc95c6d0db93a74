"""Frames in an order that no client library sends them in (RFC 9113, gRPC over HTTP/2).

Strategies of Hypothesis: calls that break off, frames out of place, streams that are none, lengths that lie.
"""

import gzip
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from hypothesis import strategies as st

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.core.image import image_id_of
from tests.fuzz.blocks import KEY, OPENINGS, STRANGERS_KEY, split
from tests.fuzz.drawing import ONE_IN_FOUR, ONE_IN_TEN, ONE_IN_TWO, PLACE, PLACES, disorder
from tests.rpc.http2 import (
    ACK,
    BEGIN,
    CONTINUATION,
    DATA,
    EMPTY_MESSAGE,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    LIST_MODELS,
    NEWEST,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Header,
    block,
    frame,
    framed,
    head,
)
from tests.rpc.pictures import PNG
from tests.rpc.serving import SERVICE

STREAMS = (1, 1, 1, 3, 5, 0, 2, 7, 2**31 - 1, 2**31 + 1)
KINDS = (*range(10), *range(10), 10, 12, 0x77, 0xFF)
SIZES = (0, 1, 4, 16_384, 65_535, 2**24 - 1, 2**31 - 1, 2**32 - 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A call that creates nothing, sound as it is: its caller has no key, or asks for what there is not."""

    path: bytes
    body: bytes = b""
    keys: tuple[Header, ...] = ()

    @property
    def block(self) -> bytes:
        """Its headers."""
        return block(head(*self.keys, path=self.path))


def _path(name: str) -> bytes:
    return f"/{SERVICE.full_name}/{name}".encode()


EDIT = pb.EditImageRequest(prompt="warmer", images=[image_pb2.ImageSource(content=PNG)], model="scripted/ok")
EDIT_KEPT = pb.EditImageRequest(
    prompt="warmer",
    images=[image_pb2.ImageSource(image_id=image_id_of(sha256(PNG).hexdigest()))],
    model="scripted/ok",
)
"""Of a picture that the caller with the key has."""
UPLOAD = pb.UploadImageRequest(chunk=PNG)
ASKED = (
    Asked(path=LIST_MODELS, keys=(KEY,)),
    Asked(path=LIST_MODELS),
    Asked(path=_path("EditImage"), body=EDIT.SerializeToString()),
    Asked(path=_path("EditImage"), body=EDIT_KEPT.SerializeToString()),
    Asked(path=_path("EditImage"), body=EDIT_KEPT.SerializeToString(), keys=(STRANGERS_KEY,)),
    Asked(path=_path("EditImage"), body=b"\x0a\x7f", keys=(KEY,)),
    Asked(path=_path("EditImage"), body=pb.EditImageRequest(n=-1).SerializeToString(), keys=(KEY,)),
    Asked(path=_path("UploadImage"), body=UPLOAD.SerializeToString()),
    Asked(path=_path("UploadImage"), body=UPLOAD.SerializeToString(), keys=(KEY,)),  # info is to come first
    Asked(path=_path("WatchTask"), body=b"\x0a\1x", keys=(KEY,)),
    Asked(path=b"/grpc.health.v1.Health/Watch"),
    Asked(path=b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", body=b"\x3a\0"),
    Asked(path=b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", body=b"\x0b\x0c"),
    Asked(path=b"/nobody/Nothing"),
)
ODD_BODIES = (
    b"",
    b"\xff" * 11,
    b"\x0b" * 300,
    gzip.compress(b""),
    gzip.compress(bytes(8 * 1024 * 1024)),
    bytes(70_000),
)


ANY_ASKED, ANY_ODD_BODY = st.sampled_from(ASKED), st.sampled_from(ODD_BODIES)
ANY_FLAG = st.sampled_from((*[0] * 12, 1, 2, 0xFF))
BY_HOW_MUCH = st.sampled_from((*[0] * 30, 1, -1, *SIZES))
HOW_MANY_MESSAGES = st.sampled_from((1, 1, 1, 1, 2, 5, 300))
ANY_PADDING = st.sampled_from((None, None, None, 0, 5, 255))


def messages(draw: st.DrawFn, body: bytes) -> bytes:
    """Draw messages as gRPC frames them, now and then with a flag or a length that is not their own."""
    content = draw(ANY_ODD_BODY) if draw(ONE_IN_FOUR) else body
    length = max(len(content) + draw(BY_HOW_MUCH), 0) % 2**32
    message = bytes([draw(ANY_FLAG)]) + struct.pack(">I", length) + content
    return message * min(draw(HOW_MANY_MESSAGES), 1 + 200_000 // len(message))


def data(draw: st.DrawFn, whole: bytes, stream: int) -> list[bytes]:
    """Draw the frames of messages: cut anywhere, at every byte, padded."""
    cuts = [place % (len(whole) + 1) for place in draw(PLACES)]
    if len(whole) < 300 and draw(ONE_IN_TEN):
        cuts = list(range(len(whole)))
    bounds = [0, *sorted({*cuts, *range(0, len(whole), 16_000)}), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(bounds)]
    padding = draw(ANY_PADDING)
    if padding is None:
        return [frame(DATA, piece, stream=stream) for piece in pieces]
    return [frame(DATA, bytes([padding]) + p + bytes(padding), stream=stream, flags=PADDED) for p in pieces]


def story(draw: st.DrawFn, stream: int) -> list[bytes]:
    """Draw the frames of one call."""
    asked = draw(ANY_ASKED)
    opened = split(draw, asked.block, stream) if draw(ONE_IN_FOUR) else framed(asked.block, stream)
    end = frame(DATA, stream=stream, flags=END_STREAM)
    return [opened, *data(draw, messages(draw, asked.body), stream), *([end] if draw(ONE_IN_TWO) else [])]


SETTINGS_PAIRS = [struct.pack(">HI", name, value) for name in (*range(9), 0xFE03, 0xFFFF) for value in SIZES]
BODIES: Mapping[int, Sequence[bytes]] = {
    DATA: (b"", EMPTY_MESSAGE, b"\0\0\0\0\5ab", b"\1\0\0\0\0", bytes(16_384)),
    HEADERS: (*(asked.block for asked in ASKED), block([(b"grpc-status", b"0")]), b"", NEWEST),
    PRIORITY: (*(struct.pack(">IB", stream, 16) for stream in (0, 1, 3, 2**31 + 1)), bytes(5), bytes(4)),
    RST_STREAM: (*(struct.pack(">I", code) for code in (0, 1, 8, 11, 14, 2**32 - 1)), b"", bytes(3)),
    SETTINGS: (*SETTINGS_PAIRS, b"".join(SETTINGS_PAIRS), b"", bytes(5)),
    PUSH_PROMISE: (struct.pack(">I", 2) + block(head()), struct.pack(">I", 1), b""),
    PING: (b"8 bytes.", b"", bytes(7), bytes(9)),
    GOAWAY: (bytes(8), struct.pack(">II", 2**31 - 1, 11) + b"why" * 99, b"", bytes(7)),
    WINDOW_UPDATE: (*(struct.pack(">I", size) for size in SIZES), b"", bytes(3)),
    CONTINUATION: (block([(b"x", b"y")]), b"", NEWEST * 9, b"\xff" * 20),
}
"""What may stand in a frame, some of it just out of range."""
USUAL_FLAGS = {HEADERS: END_HEADERS, PUSH_PROMISE: END_HEADERS, CONTINUATION: END_HEADERS, SETTINGS: ACK}
LONE = [
    (kind, flags, stream, body)
    for kind in KINDS
    for stream in (0, 0, *STREAMS)
    for flags in (0, 0, USUAL_FLAGS.get(kind, END_STREAM), 0xFF, PADDED)
    for body in BODIES.get(kind, (b"", bytes(100)))
]
ANY_LONE, NOISE = st.sampled_from(LONE), st.binary(max_size=40)
LIES = st.sampled_from((*[None] * 9, -1, 1, 9, 2**24 - 1))


def lone(draw: st.DrawFn) -> bytes:
    """Draw a frame that comes out of the blue, now and then with what is not its own."""
    kind, flags, stream, body = draw(ANY_LONE)
    body = draw(NOISE) if draw(ONE_IN_TEN) else body
    whole, lie = frame(kind, body, stream=stream, flags=flags), draw(LIES)
    length = min(max(len(body) + (lie or 0), 0), 2**24 - 1)
    return length.to_bytes(3, "big") + whole[3:]


LONE_OF_NOTE = (
    frame(WINDOW_UPDATE, struct.pack(">I", 2**31 - 1)),
    frame(WINDOW_UPDATE, bytes(4), stream=1),
    frame(RST_STREAM, struct.pack(">I", 8), stream=1),
    frame(SETTINGS, struct.pack(">HI", 4, 2**31 - 1)),
    frame(SETTINGS, struct.pack(">HI", 4, 0)),
    frame(SETTINGS, struct.pack(">HI", 1, 0)),
    frame(GOAWAY, bytes(8)),
    frame(DATA, EMPTY_MESSAGE, stream=1, flags=END_STREAM),
    frame(PRIORITY, struct.pack(">IB", 1, 0), stream=1),
)
"""Whole in themselves, and each at odds with a call that goes on."""


ANY_LONE_OF_NOTE = st.sampled_from(LONE_OF_NOTE)
ANY_BEGIN = st.sampled_from((*OPENINGS * 2, PREFACE, b"", b"PRI * HTTP/1.1\r\n\r\n", BEGIN[:20], BEGIN * 2))
HOW_MANY_CALLS = st.integers(1, 4)
HOW_MANY_DISORDERS, HOW_MANY_OTHERS = st.sampled_from((0, 0, 0, 1, 1, 5)), st.sampled_from((0, 0, 1, 1, 2, 8))
TIMES = st.sampled_from((1, 1, 1, 1, 2, 200))


@st.composite
def orders(draw: st.DrawFn) -> bytes:
    """Draw a connection: calls whose frames are taken out of order, left out, doubled, and others between."""
    frames: list[bytes] = []
    for stream in range(1, 2 * draw(HOW_MANY_CALLS), 2):
        frames += story(draw, stream)
    for _ in range(draw(HOW_MANY_DISORDERS)):
        disorder(draw, frames)
    for _ in range(draw(HOW_MANY_OTHERS)):
        other = draw(ANY_LONE_OF_NOTE) if draw(ONE_IN_TWO) else lone(draw)
        frames.insert(draw(PLACE) % (len(frames) + 1), other * draw(TIMES))
    return draw(ANY_BEGIN) + b"".join(frames)
