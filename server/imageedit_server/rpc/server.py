"""The gRPC server: our service, health and reflection, with the options that keep it safe (PROMISES §7)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from imageedit_server.editing import UseCases
from imageedit_server.rpc.border import Border
from imageedit_server.rpc.service import ImageEditService
from imageedit_server.rpc.watches import WatchBudget

SERVICE = pb.DESCRIPTOR.services_by_name["ImageEditService"].full_name
MIB = 1024 * 1024

OPTIONS = (
    ("grpc.so_reuseport", 0),  # two servers must not share a port unseen
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.max_receive_message_length", 4 * MIB),
    ("grpc.max_send_message_length", 4 * MIB),
    ("grpc.max_metadata_size", 8192),
    ("grpc.absolute_max_metadata_size", 16384),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 10_000),
)


class CannotListen(Exception):
    """The address cannot be bound; the message is the whole sentence for the operator."""


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """A started server and its health."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    port: int

    async def announce_drain(self) -> None:
        """Tell health checks that no new work is wanted."""
        await self.health.enter_graceful_shutdown()


@asynccontextmanager
async def grpc_door(
    host: str, port: int, use_cases: UseCases, *, max_watches: int
) -> AsyncIterator[GrpcDoor]:
    """Serve on ``host``:``port`` (0: any free port) until the block ends. Raises ``CannotListen``."""
    server = grpc.aio.server(options=OPTIONS)
    service = ImageEditService(use_cases, WatchBudget(max_watches))
    pb_grpc.add_ImageEditServiceServicer_to_server(service, Border(server))  # type: ignore[arg-type]
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError:
        raise CannotListen(f"cannot listen on {host}:{port}; is another server running there?") from None
    await server.start()
    for name in ("", SERVICE):
        await status.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield GrpcDoor(server, status, bound)
    finally:
        await server.stop(grace=None)
