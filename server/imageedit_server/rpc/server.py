"""The gRPC server: our service, health and reflection, with the options that keep it safe (PROMISES §7)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2_grpc

from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from imageedit_server.access.admission import Admission
from imageedit_server.access.certificates import Certificates
from imageedit_server.access.rules import require_rules
from imageedit_server.access.watches import LIFE_SECONDS
from imageedit_server.editing import UseCases
from imageedit_server.rpc import grpcio_patch, reflection
from imageedit_server.rpc.authentication import Authentication
from imageedit_server.rpc.border import Border
from imageedit_server.rpc.call_metadata import MAX_METADATA_BYTES
from imageedit_server.rpc.health import Health
from imageedit_server.rpc.rules import RULES, SERVICE
from imageedit_server.rpc.service import ImageEditService
from imageedit_server.rpc.tls import server_credentials
from imageedit_server.runtime.listening import CannotListen, listen_on

SETTING = "server.listen"
MIB = 1024 * 1024

OPTIONS = (
    ("grpc.http2.bdp_probe", 0),  # would let a stream's window, and its memory here, grow to tens of MiB
    ("grpc.http2.lookahead_bytes", MIB),
    ("grpc.http2.max_frame_size", MIB // 4),
    # Without a bound, what is read at once doubles as long as more is there: up to 800 MiB of one connection.
    ("grpc.experimental.tcp_max_read_buffer_size", MIB),
    ("grpc.so_reuseport", 0),  # two servers must not share a port unseen
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.max_receive_message_length", 4 * MIB),
    ("grpc.max_send_message_length", 4 * MIB),
    ("grpc.max_metadata_size", 8192),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    # A client that vanished is noticed within 80 seconds. The library's keepalive_timeout_ms would not do it.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.http2.ping_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # None are counted. Whoever goes on pinging is never sent away for it, since the end waits until all is
    # answered, and each ping beyond the forgiven costs more than the last: 80 000 of them 10 CPU seconds.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Until a client has confirmed these settings, its headers may be 16 MiB long, and need never end.
    ("grpc.http2.settings_timeout", 5_000),
    ("grpc.max_connection_idle_ms", 300_000),  # without a call; a watch is one
    # An old connection takes no new calls, so that clients come to new servers and certificates; those that
    # it has may end. The longest are watches, which end by themselves before it is closed under them.
    ("grpc.max_connection_age_ms", 1_800_000),
    ("grpc.max_connection_age_grace_ms", int(LIFE_SECONDS * 1000) + 60_000),
)
MAX_RPCS = 32_000
"""The last wall, twice what all watches may take: beyond it memory, not manners, would decide."""


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """A started server and its health."""

    server: grpc.aio.Server
    health: Health
    port: int

    async def ended(self) -> None:
        """Return when the server takes no calls any more."""
        await grpcio_patch.ended(self.server)


@asynccontextmanager
async def grpc_door(
    host: str,
    port: int,
    use_cases: UseCases,
    admission: Admission,
    certificates: Certificates | None,
    *,
    max_connections: int,
    is_broken: Callable[[], bool],
) -> AsyncIterator[GrpcDoor]:
    """Serve on ``host``:``port`` (0: any free port) until the block ends. Raises ``CannotListen``.

    Without ``certificates`` it speaks plaintext. Connections beyond ``max_connections`` are closed at once.
    ``is_broken`` as for ``Border``.
    """
    require_rules(_served(), RULES, "rpc/rules.py")
    server = await grpcio_patch.server(
        interceptors=[Authentication(admission.callers)] if admission.callers else [],
        options=(*OPTIONS, ("grpc.max_allowed_incoming_connections", max_connections)),
        maximum_concurrent_rpcs=MAX_RPCS,
    )
    service = ImageEditService(
        use_cases, admission.watches, admission.uploads, admission.in_flight, admission.tenant
    )
    status = Health(("", SERVICE))
    border: Any = Border(
        server, is_broken
    )  # the generated code asks for a server, of which it uses two methods
    pb_grpc.add_ImageEditServiceServicer_to_server(service, border)
    health_pb2_grpc.add_HealthServicer_to_server(status, border)
    for name in (reflection.V1, reflection.V1ALPHA):
        border.add_registered_method_handlers(name, reflection.handlers())
    bound = _bind(server, host, port, certificates)
    await status.announce(True)
    await server.start()
    door = GrpcDoor(server, status, bound)
    try:
        yield door
    finally:
        await server.stop(grace=None)


def _bind(server: grpc.aio.Server, host: str, port: int, certificates: Certificates | None) -> int:
    address = f"{host}:{port}"
    try:
        if certificates is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, server_credentials(certificates))
    except RuntimeError:
        listen_on(SETTING, host, port).close()  # which says why, as gRPC does not
        raise CannotListen(
            f"{SETTING}: cannot listen on {address}; it was taken just now, try again"
        ) from None


def _served() -> set[str]:
    services = reflection.SERVED.items()
    return {f"/{name}/{method.name}" for name, service in services for method in service.method}
