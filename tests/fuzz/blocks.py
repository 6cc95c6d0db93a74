"""Header blocks as no client library writes them: what HPACK can say and cannot (RFC 7541, RFC 9113).

Strategies of Hypothesis. Some calls carry a caller's key, so that what is behind the key is reached too.
"""

from collections.abc import Sequence
from itertools import chain, pairwise, repeat

from hypothesis import strategies as st

from tests.fuzz.drawing import ONE_IN_FOUR, ONE_IN_TEN, ONE_IN_TWO, PLACE, PLACES
from tests.rpc import http2
from tests.rpc.callers import ALICE
from tests.rpc.http2 import (
    ACK,
    BEGIN,
    CONTINUATION,
    DATA,
    EMPTY_MESSAGE,
    END_HEADERS,
    END_STREAM,
    FRAME_BYTES,
    HEADERS,
    LIST_MODELS,
    NEWEST,
    PADDED,
    PREFACE,
    SETTINGS,
    WITH_PRIORITY,
    Header,
    block,
    frame,
    head,
    integer,
    remembered,
    text,
)
from tests.rpc.serving import SERVICE

KEY: Header = (b"authorization", b"Bearer " + ALICE.encode())
STRANGERS_KEY: Header = (b"authorization", b"Bearer imageedit_a-key-that-nobody-has")

PATHS = (
    *(LIST_MODELS, LIST_MODELS, b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch"),
    *(f"/{SERVICE.full_name}/{name}".encode() for name in ("EditImage", "UploadImage", "WatchTask")),
    *(b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", b"/nobody/Nothing"),
    *(b"", b"/", b"*", b"no/slash", b"/\xff\xfe", LIST_MODELS + b"?x=1#y", b"/" + b"x" * 5000, b"/a\0b"),
)
FIELDS: Sequence[Header] = (
    *((b":method", value) for value in (b"GET", b"PUT", b"CONNECT", b"post", b"", b"\xff")),
    *((b":scheme", value) for value in (b"https", b"", b"javascript")),
    *((b":authority", value) for value in (b"", b"a@b", b"x" * 3000, b"\xff", b"::1", b"a:99999")),
    *((name, b"x") for name in (b":status", b":protocol", b":unknown", b":", b"")),
    *((name, b"x") for name in (b"X-Upper", b"TE", b"x y", b"x:y", b"x\0y", b"x\r\ny", b"\xff", b"\xc3\xa9")),
    *((b"connection", value) for value in (b"close", b"keep-alive, te", b"upgrade")),
    *((b"keep-alive", b"timeout=5"), (b"transfer-encoding", b"chunked"), (b"upgrade", b"h2c")),
    *((b"proxy-connection", b"close"), (b"host", b"elsewhere"), (b"expect", b"100-continue")),
    *((b"te", value) for value in (b"", b"gzip", b"trailers, gzip", b"TRAILERS")),
    *(
        (b"content-type", b"application/grpc" + value)
        for value in (b"+proto", b"+json", b";x=y", b"-web", b"\0")
    ),
    *((b"content-type", value) for value in (b"", b"text/html", b"application/json", b"APPLICATION/GRPC")),
    *((b"content-length", value) for value in (b"0", b"5", b"-1", b"99999999999999999999", b"x")),
    *(
        (b"grpc-timeout", value)
        for value in (
            *(b"1S", b"0n", b"1n", b"99999999H", b"100000000H", b"-1S", b"+1S", b"1", b"S", b"1.5S", b"1 S"),
            *(b" 1S", b"1SS", b"", b"\xff", b"1u", b"00000000000000000001S", b"0x1S", b"1e3S"),
        )
    ),
    *(
        (b"grpc-encoding", value)
        for value in (b"gzip", b"deflate", b"identity", b"br", b"", b"gzip, gzip", b"\0")
    ),
    *((b"grpc-accept-encoding", value) for value in (b"", b"gzip", b"none", b"," * 2000, b"\xff")),
    *((name, b"13") for name in (b"grpc-status", b"grpc-message", b"grpc-previous-rpc-attempts")),
    *((b"grpc-internal-encoding-request", b"gzip"), (b"grpc-retry-pushback-ms", b"-1"), (b"lb-token", b"x")),
    *(
        (name, value)
        for name in (b"x-bin", b"grpc-tags-bin", b"grpc-trace-bin", b"grpc-status-details-bin", b"-bin")
        for value in (
            b"AA==",
            b"A",
            b"A=",
            b"====",
            b"****",
            b"AAAA,AAAA",
            b"AA=A",
            b"\xff",
            b"",
            b"A" * 5001,
        )
    ),
    *(
        (b"authorization", value)
        for value in (b"", b"Bearer", b"Bearer ", b"Basic YTpi", b"\xff", b"x" * 7000)
    ),
    *(KEY, STRANGERS_KEY, (b"cookie", b"a=b; " * 100), (b"user-agent", b"\xff" * 300), (b"x" * 300, b"y")),
    *(
        (b"x-text", value)
        for value in (b"", b" ", b"\t", b"a\0b", b"a\r\nb: c", b"\x7f", b"%00", b"\xed\xa0\x80")
    ),
)

STATIC_NAMES = {
    b":authority": 1,
    b":method": 2,
    b":path": 4,
    b":scheme": 6,
    b"authorization": 23,
    b"content-length": 28,
    b"content-type": 31,
    b"cookie": 32,
    b"host": 38,
    b"user-agent": 58,
}
LITERALS = ((0x00, 4), (0x10, 4), (0x40, 6))
"""Not indexed, never indexed, and remembered: the first byte, and in how many of its bits a name is."""

FIVE_BITS = {letter: place for place, letter in enumerate(b"012aceiost")}
"""The letters whose code by Huffman is their place, in five bits."""
EOS = "1" * 30


def huffman(content: bytes, padding: str | None = None) -> bytes:
    """Encode a text of ``FIVE_BITS`` by Huffman; ``padding`` of other bits than the ones that are wanted."""
    bits = "".join(f"{FIVE_BITS[letter]:05b}" for letter in content)
    bits += "1" * (-len(bits) % 8) if padding is None else padding
    bits += "0" * (-len(bits) % 8)
    coded = int(bits or "0", 2).to_bytes(len(bits) // 8)
    return integer(len(coded), 7, 0x80) + coded


BROKEN = (
    *(integer(place, 7, 0x80) for place in (0, 1, 15, 61, 62, 63, 100, 191, 2**14, 2**31, 2**32, 2**63)),
    *(integer(size, 5, 0x20) for size in (0, 1, 100, 4096, 4097, 2**16, 2**32 - 1, 2**40)),
    *(b"\x20\x3f\xe1\x1f" * 50, b"\x20\x20\x20"),
    *(
        bytes([first]) + b"\xff" * more
        for first in (0xFF, 0x7F, 0x3F, 0x1F, 0x0F)
        for more in (1, 4, 5, 10, 3000)
    ),
    *(bytes([first]) + b"\x80" * 9 + b"\0" for first in (0xFF, 0x7F, 0x3F, 0x1F, 0x0F)),
    *(bytes([first]) for first in (0x00, 0x10, 0x40, 0x7F, 0xFF, 0x3F)),
    *(integer(place, bits, first) + text(b"v") for first, bits in LITERALS for place in (62, 63, 190, 2**31)),
    *(b"\0\x7f\xff\xff\x0f", b"\0\1x\x7f\xff\xff\xff\xff\x0f", b"\0\5ab", b"\0\1x\5ab", b"\0\0\0"),
    *(
        b"\0" + huffman(b"cat", padding) + text(b"v")
        for padding in (None, "0", "1" * 9, "1" * 17, EOS, "0" * 8)
    ),
    *(b"\0" + text(b"x-h") + huffman(b"attic", padding) for padding in (None, "0", "1" * 15, EOS, EOS + "1")),
    *(b"\0" + text(b"x-h") + integer(length, 7, 0x80) for length in (0, 1, 4, 127, 2**20)),
    *(b"\0" + text(b"x-h") + integer(length, 7, 0x80) + b"\xff" * length for length in (1, 4, 100)),
    *(b"\x40" + text(b"x-long") + text(b"v" * length) for length in (4000, 4056, 4057, 5000)),
)
MANY = (
    *(remembered([(b"k", b"v" * size)]) + NEWEST * times for size in (1, 100, 4000) for times in (513, 8000)),
    *(block([(b"x-%d" % number, b"y") for number in range(many)]) for many in (100, 600)),
    *(block([(b"x", b"")] * many) for many in (513, 5000)),
    *(remembered([(b"x-%d" % number, b"y" * 30) for number in range(200)]),),
    *(block([(b"x-big", b"y" * size)]) for size in (4_000, 8_192, 16_384, 70_000, 300_000)),
    *(block([(b"x-big-bin", b"A" * size)]) for size in (8_192, 21_845, 70_000)),
)


KEYS = st.sampled_from(((), (KEY,), (STRANGERS_KEY,), (KEY, KEY)))
ANY_PATH, ANY_FIELD = st.sampled_from(PATHS), st.sampled_from(FIELDS)
ANY_BROKEN, ANY_MANY = st.sampled_from(BROKEN), st.sampled_from(MANY)
CHANGES = st.lists(st.sampled_from(("add", "add", "replace", "drop", "double", "last")), max_size=4)
WAYS = st.lists(st.sampled_from([(way, with_place) for way in LITERALS for with_place in (True, False)]))
HOW_MANY_BROKEN = st.sampled_from((0, 0, 0, 1, 1, 3))
FLAGS = st.sampled_from((0, 0, 0, END_STREAM, PADDED, WITH_PRIORITY, PADDED | WITH_PRIORITY, 0xFF))


def heads(draw: st.DrawFn) -> list[Header]:
    """Draw the headers of a call: sound, or some of them missing, doubled, out of place or odd."""
    headers = head(*draw(KEYS), path=draw(ANY_PATH))
    for change in draw(CHANGES):
        at = draw(PLACE) % len(headers) if headers else 0
        match change:
            case "add":
                headers.insert(at, draw(ANY_FIELD))
            case "replace":
                headers[at : at + 1] = [draw(ANY_FIELD)]
            case "drop":
                del headers[at : at + 1]
            case "double":
                headers += headers[at : at + 1]
            case _:
                headers += [headers.pop(at)] if headers else []
    return headers


def written(header: Header, way: tuple[int, int], *, with_place: bool) -> bytes:
    """Write a header as one of ``LITERALS``, its name by its place in the static table if it has one."""
    (name, value), (first, bits) = header, way
    place = STATIC_NAMES.get(name, 0) if with_place else 0
    named = integer(place, bits, first) if place else bytes([first]) + _text(name)
    return named + _text(value)


def _text(content: bytes) -> bytes:
    return huffman(content) if content and all(map(FIVE_BITS.__contains__, content)) else text(content)


def blocks(draw: st.DrawFn) -> bytes:
    """Draw a header block: the fields of a call, with what is broken between them, or a great many more."""
    ways = chain(draw(WAYS), repeat((LITERALS[0], False)))
    pieces = [
        written(header, way, with_place=place)
        for header, (way, place) in zip(heads(draw), ways, strict=False)
    ]
    for _ in range(draw(HOW_MANY_BROKEN)):
        pieces.insert(draw(PLACE) % (len(pieces) + 1), draw(ANY_BROKEN))
    if draw(ONE_IN_FOUR):
        pieces.append(draw(ANY_MANY))
    whole = b"".join(pieces)
    return whole[: draw(PLACE)] if draw(ONE_IN_TEN) else whole


def split(draw: st.DrawFn, whole: bytes, stream: int) -> bytes:
    """Draw the frames of a header block: cut anywhere, at every byte, padded, without an end."""
    cuts = [place % (len(whole) + 1) for place in draw(PLACES)]
    if len(whole) < 400 and draw(ONE_IN_TEN):
        cuts = list(range(1, len(whole)))
    bounds = [0, *sorted([*cuts, *range(0, len(whole), FRAME_BYTES)]), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(bounds)]
    pieces = pieces if draw(ONE_IN_TEN) else [piece for piece in pieces if piece] or [b""]
    flags, end = draw(FLAGS), 0 if draw(ONE_IN_TEN) else END_HEADERS
    last = len(pieces) - 1
    return b"".join(
        frame(CONTINUATION, piece, stream=stream, flags=end if at == last else 0)
        if at
        else frame(HEADERS, _dressed(piece, flags), stream=stream, flags=flags | (end if at == last else 0))
        for at, piece in enumerate(pieces)
    )


def _dressed(piece: bytes, flags: int) -> bytes:
    """Add what the flags say is there."""
    priority = b"\0\0\0\0\x10" if flags & WITH_PRIORITY else b""
    return b"\5" + priority + piece + bytes(5) if flags & PADDED else priority + piece


MOST_BYTES = 2_000_000
OPENINGS = (
    *[BEGIN] * 5,
    *[BEGIN + frame(SETTINGS, flags=ACK)] * 4,
    PREFACE + frame(SETTINGS, b"\0\1\0\0\0\0" + b"\0\6\0\0\0\1"),
)
ANY_OPENING = st.sampled_from(OPENINGS)
HOW_MANY, TIMES = st.integers(1, 3), st.sampled_from((0, 1, 20, 250))


@st.composite
def calls(draw: st.DrawFn) -> bytes:
    """Draw a connection: a few calls, and one that is there up to 250 times, or that one alone."""
    opening = draw(ANY_OPENING)
    if draw(ONE_IN_FOUR):
        return opening + again(block(head(*draw(KEYS))) + draw(ANY_MANY), 250)
    pieces, stream = [opening], 1
    for _ in range(draw(HOW_MANY)):
        pieces.append(split(draw, blocks(draw), stream))
        if draw(ONE_IN_TWO):
            pieces.append(frame(DATA, EMPTY_MESSAGE, stream=stream, flags=END_STREAM))
        stream += 2
    return b"".join([*pieces, again(blocks(draw), draw(TIMES), stream)])


def again(whole: bytes, times: int, stream: int = 1) -> bytes:
    """Make as many calls, within ``MOST_BYTES``."""
    times = min(times, 1 + MOST_BYTES // (len(whole) + 1))
    return b"".join(http2.framed(whole, each) for each in range(stream, stream + 2 * times, 2))
