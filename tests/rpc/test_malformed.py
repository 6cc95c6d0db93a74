"""What is not a message at all never reaches a handler (P20, P21, F77, F84)."""

from collections.abc import Iterator, Sequence

import grpc
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.rpc.calls import METHODS, assert_presentable, call, outcome_of
from tests.rpc.serving import SERVICE, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

MALFORMED = {
    "truncated varint": b"\x08\xff",
    "endless varint": b"\x08" + b"\xff" * 11,
    "length beyond the end": b"\x0a\x7f",
    "group that never ends": b"\x0b",
    "end of a group that never began": b"\x0c",
    "wire type 7": b"\x0f",
    "200 groups deep": b"\x0b" * 200 + b"\x0c" * 200,
    "random": bytes(range(256)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_protobuf_is_invalid_argument(served: Served, method: str, name: str) -> None:
    """P21: of every method, as its first message; never UNKNOWN, no class name."""
    before = await served.stored()
    outcome = await call(served.channel, method, MALFORMED[name])
    assert (outcome.code.name, outcome.reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
    assert_presentable(outcome)
    assert await served.stored() == before


LIBRARY = (
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.health.v1.Health/List",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


@pytest.mark.parametrize("method", LIBRARY)
async def test_malformed_protobuf_is_invalid_argument_of_the_library_s_services_too(
    served: Served, method: str
) -> None:
    """P21: left to themselves they show the name of an exception, as UNKNOWN."""
    for body in MALFORMED.values():
        outcome = await outcome_of(served.channel.stream_stream(f"/{method}", bytes, bytes)(iter([body])))
        assert (outcome.code.name, outcome.reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
        assert_presentable(outcome)


def _strings(
    descriptor: Descriptor, path: tuple[FieldDescriptor, ...] = ()
) -> Iterator[tuple[FieldDescriptor, ...]]:
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (*path, field)
        elif field.message_type is not None:
            yield from _strings(field.message_type, (*path, field))


def _wire(path: Sequence[FieldDescriptor], text: bytes) -> bytes:
    """Write a string field as protobuf does, inside the messages on the way to it."""
    body = text
    for field in reversed(path):
        tag = field.number << 3 | 2
        body = _varint(tag) + _varint(len(body)) + body
    return body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


STRINGS = [(method, path) for method in METHODS for path in _strings(METHODS[method].input_type)]
NOT_UTF8 = {
    "lone continuation": b"\x80",
    "overlong NUL": b"\xc0\x80",
    "lone surrogate": b"\xed\xa0\x80",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "Latin-1": "é".encode("latin-1"),
}


@pytest.mark.parametrize(
    ("method", "path"),
    STRINGS,
    ids=[f"{method}.{'.'.join(field.name for field in path)}" for method, path in STRINGS],
)
async def test_a_string_that_is_not_utf8_is_invalid_argument(
    served: Served, method: str, path: tuple[FieldDescriptor, ...]
) -> None:
    """F77: in every string field of every request."""
    for text in NOT_UTF8.values():
        outcome = await call(served.channel, method, _wire(path, text))
        assert (outcome.code.name, outcome.reason) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
        assert_presentable(outcome)


# The library's own refusals


@pytest.mark.parametrize("method", METHODS)
async def test_a_message_above_4_mib_is_refused_by_the_library(served: Served, method: str) -> None:
    """P20: RESOURCE_EXHAUSTED, and nothing is stored."""
    before = await served.stored()
    unknown_field = _varint(1999 << 3 | 2) + _varint(4 * 1024 * 1024) + bytes(4 * 1024 * 1024)
    outcome = await call(served.channel, method, unknown_field)
    assert outcome.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await served.stored() == before


async def test_an_unknown_method_is_unimplemented(served: Served) -> None:
    """F84."""
    rpc = served.channel.unary_unary(f"/{SERVICE.full_name}/DropTables", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_gzip_bomb_is_refused_by_the_library(served: Served) -> None:
    """P20: 64 MiB of zeros arrive as 64 KiB and are refused when they grow beyond 4 MiB."""
    rpc = served.channel.unary_unary(f"/{SERVICE.full_name}/EditImage", bytes, bytes)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await rpc(bytes(64 * 1024 * 1024), compression=grpc.Compression.Gzip)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
