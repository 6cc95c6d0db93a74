"""How much metadata a call has, counted where the C library keeps it, before Python makes anything of it.

A client that never confirms the server's settings is held to 16 MiB of metadata a call, and refers to a
header that it sent once with one byte: 8 KB on the wire become 8 000 tuples before any size or key is looked
at. Where grpcio hands a call over, its metadata is still an array in C::

    grpc_metadata_array   {size_t count, size_t capacity, grpc_metadata *metadata}    in grpcio's RPCState
    grpc_metadata         {grpc_slice key, grpc_slice value, void *internal[4]}
    grpc_slice            {refcount *, {size_t length, uint8_t *bytes} or {uint8_t length, uint8_t bytes[23]}}

The first is found by ``calibrate``; the others are as grpc/impl/grpc_types.h and grpc/slice.h have them,
which calibration proves too.
"""

import asyncio
import ctypes
import os
import secrets
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from typing import Any

import grpc

ARRAY = struct.Struct("QQQ")
ENTRY = struct.Struct("QQ16xQQ16x32x")
MAX_ENTRIES = 512
MAX_METADATA_BYTES = 16_384
CALIBRATION_SECONDS = 10.0
_MOST_CAPACITY = 1 << 16
_INLINED_LENGTH = 0xFF
_METADATA = (("a", "b"), ("x-inlined", "c" * 23), ("x-counted", "d" * 300), ("a", "e" * 24))

Sizes = list[tuple[int, int]]
"""Bytes of the name and of the value of each entry."""


class Uncalibrated(Exception):
    """The array is not where it can be found."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the array begins in an RPCState, in bytes."""

    offset: int

    def is_excessive(self, state: Any) -> bool:
        """Whether the call has more than ``MAX_ENTRIES`` entries, or ``MAX_METADATA_BYTES`` in them."""
        count, _, metadata = ARRAY.unpack(ctypes.string_at(id(state) + self.offset, ARRAY.size))
        if count > MAX_ENTRIES:
            return True
        return sum(map(sum, _sizes(ctypes.string_at(metadata, count * ENTRY.size)))) > MAX_METADATA_BYTES


async def calibrate(plain: type[Any], make: Any) -> Layout:
    """Find the layout with one call whose metadata is known, to a server that is there for nothing else.

    ``plain`` is grpcio's class of servers; ``make`` makes a ``grpc.aio.Server`` of a subclass of it.
    Raises ``Uncalibrated``.
    """
    states: list[Any] = []

    class Calibrated(plain):  # type: ignore[misc]
        async def _request_registered_call(self, method: bytes) -> Any:
            states.append(await super()._request_registered_call(method))
            return states[-1]

    found: list[int] = []

    async def look(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        seen = context.invocation_metadata() or ()
        found.extend(_offsets(states[0], [(len(name), len(value)) for name, value in seen]))
        return b""

    with suppress(TimeoutError, grpc.RpcError):
        async with asyncio.timeout(CALIBRATION_SECONDS), _serving(make(Calibrated), look) as call:
            await call(b"", metadata=_METADATA)
    if len(found) != 1:
        raise Uncalibrated(f"{len(found)} places")
    return Layout(found[0])


@asynccontextmanager
async def _serving(server: grpc.aio.Server, behaviour: Any) -> AsyncIterator[Any]:
    """Serve ``behaviour`` under a name that nobody can guess who happens to find the port."""
    name = secrets.token_hex(16)
    handler: Any = grpc.unary_unary_rpc_method_handler(behaviour)
    server.add_registered_method_handlers(name, {"Look": handler})
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", [("grpc.enable_http_proxy", 0)]) as channel:
            yield channel.unary_unary(f"/{name}/Look")
    finally:
        await server.stop(None)


def _offsets(state: Any, expected: Sizes) -> Iterator[int]:
    """Yield every place in ``state`` at which an array with just these sizes can be read."""
    held = ctypes.string_at(id(state), type(state).__basicsize__)
    read = _SafeRead()
    with closing(read):
        for offset in range(0, len(held) - ARRAY.size + 1, ctypes.sizeof(ctypes.c_void_p)):
            count, capacity, metadata = ARRAY.unpack_from(held, offset)
            if count == len(expected) and count <= capacity <= _MOST_CAPACITY:
                entries = read(metadata, count * ENTRY.size)
                if entries is not None and list(_sizes(entries)) == expected:
                    yield offset


def _sizes(entries: bytes) -> Iterator[tuple[int, int]]:
    for key_counted, key, value_counted, value in ENTRY.iter_unpack(entries):
        yield (
            key if key_counted else key & _INLINED_LENGTH,
            value if value_counted else value & _INLINED_LENGTH,
        )


class _SafeRead:
    """Reads where there may be nothing: what the kernel cannot copy is an error to it, and no crash."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._write = ctypes.CDLL(None, use_errno=True).write
        self._write.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
        self._write.restype = ctypes.c_ssize_t

    def __call__(self, address: int, size: int) -> bytes | None:
        written = self._write(self._in, address, size)
        held = os.read(self._out, written) if written > 0 else b""
        return held if written == size else None

    def close(self) -> None:
        os.close(self._out)
        os.close(self._in)
