"""Calls as bytes, so that also what is not a message can be sent; and what came of them."""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from tests.rpc.serving import SERVICE

CALL_SECONDS = 60.0
METHODS = {method.name: method for method in SERVICE.methods}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a call ended, with the details of its error taken apart."""

    code: grpc.StatusCode
    message: str = ""
    reason: str = ""
    domain: str = ""
    fields: tuple[str, ...] = ()
    retry_seconds: float | None = None
    trailer: dict[str, str | bytes]
    responses: tuple[Message, ...] = ()


async def call(
    channel: grpc.aio.Channel,
    method: str,
    *requests: Message | bytes,
    deadline: float = CALL_SECONDS,
    metadata: Sequence[tuple[str, str]] = (),
) -> Outcome:
    """Call a method of any shape with messages or raw bytes and read it to its end."""
    descriptor = METHODS[method]
    path = f"/{SERVICE.full_name}/{method}"
    response_class = GetMessageClass(descriptor.output_type)
    bodies = [request if isinstance(request, bytes) else request.SerializeToString() for request in requests]
    responses: list[Message] = []
    rpc: grpc.aio.Call
    if descriptor.client_streaming:
        rpc = channel.stream_unary(path, bytes, response_class.FromString)(
            _each(bodies), timeout=deadline, metadata=metadata
        )
    elif descriptor.server_streaming:
        rpc = channel.unary_stream(path, bytes, response_class.FromString)(
            bodies[0], timeout=deadline, metadata=metadata
        )
    else:
        rpc = channel.unary_unary(path, bytes, response_class.FromString)(
            bodies[0], timeout=deadline, metadata=metadata
        )
    try:
        if isinstance(rpc, grpc.aio.UnaryStreamCall):
            async for response in rpc:
                responses.append(response)
        else:
            responses.append(await rpc)
    except grpc.aio.AioRpcError:
        pass
    return await outcome_of(rpc, responses)


async def outcome_of(rpc: grpc.aio.Call, responses: Sequence[Message] = ()) -> Outcome:
    """Read the end of a call."""
    trailer = dict(await rpc.trailing_metadata() or ())
    message = await rpc.details() or ""
    status = Status.FromString(_bytes(trailer.get("grpc-status-details-bin", b"")))
    found: dict[str, Message] = {}
    for detail in status.details:
        for kind in (ErrorInfo, BadRequest, RetryInfo):
            if detail.Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind.FromString(detail.value)
    info, bad, retry = (found.get(name) for name in ("ErrorInfo", "BadRequest", "RetryInfo"))
    return Outcome(
        code=await rpc.code(),
        message=message,
        reason=info.reason if isinstance(info, ErrorInfo) else "",
        domain=info.domain if isinstance(info, ErrorInfo) else "",
        fields=tuple(violation.field for violation in bad.field_violations)
        if isinstance(bad, BadRequest)
        else (),
        retry_seconds=retry.retry_delay.ToMilliseconds() / 1000 if isinstance(retry, RetryInfo) else None,
        trailer=trailer,
        responses=tuple(responses),
    )


CLIENT_METADATA_BYTES = 8192
"""What a gRPC client takes of headers and trailers by default; more, and it shows an error of its own."""

INSIDES = re.compile(
    r"""Traceback | \w+Error\b | \w+Exception\b | <class | object\ at\ 0x | \.py\b
        | /(tmp|var|home|root|work)/ | \b(SELECT|INSERT|UPDATE|sqlite|SAVEPOINT)\b""",
    re.VERBOSE,
)
"""What a message must never show: class names, paths, SQL."""


def assert_presentable(outcome: Outcome) -> None:
    """What holds for every error that our code sends."""
    assert outcome.domain == "imageedit"
    assert outcome.message
    assert not INSIDES.search(outcome.message), outcome.message
    assert (
        bool(outcome.fields)
        or outcome.code is not grpc.StatusCode.INVALID_ARGUMENT
        or (outcome.reason == "MALFORMED_REQUEST")
    )
    assert not outcome.responses
    assert metadata_bytes(outcome) < CLIENT_METADATA_BYTES


def metadata_bytes(outcome: Outcome) -> int:
    """Bytes of the trailer as HTTP/2 counts them: names, values and 32 each; binary ones as they are."""
    trailer = {**outcome.trailer, "grpc-status": "3", "grpc-message": _percent_encoded(outcome.message)}
    return sum(len(name) + len(value) + 32 for name, value in trailer.items())


def _percent_encoded(message: str) -> str:
    return "".join(
        char if " " <= char <= "~" and char != "%" else "%XX" * len(char.encode()) for char in message
    )


async def _each(bodies: Sequence[bytes]) -> AsyncIterator[bytes]:
    for body in bodies:
        yield body


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
