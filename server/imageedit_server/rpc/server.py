"""The gRPC server: our service, health and reflection, with the options that keep it safe (PROMISES §7)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from imageedit_server.core.listening import CannotListen, listen_on
from imageedit_server.editing import UseCases
from imageedit_server.rpc.authorisation import RULES
from imageedit_server.rpc.border import Border
from imageedit_server.rpc.callers import DEFAULT_TENANT, Callers, current_tenant
from imageedit_server.rpc.service import ImageEditService
from imageedit_server.rpc.tls import Tls
from imageedit_server.rpc.watches import WatchBudget

SERVICE = pb.DESCRIPTOR.services_by_name["ImageEditService"].full_name
SERVED = (
    pb.DESCRIPTOR.services_by_name["ImageEditService"],
    health_pb2.DESCRIPTOR.services_by_name["Health"],
    reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"],
)
SETTING = "server.listen"
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
    ("grpc.max_connection_idle_ms", 300_000),  # without a call; a watch is one
)


@dataclass(frozen=True, slots=True)
class GrpcDoor:
    """A started server and its health."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    port: int

    async def announce(self, ready: bool) -> None:
        """Tell health checks whether traffic is wanted; after ``announce_drain`` they hear nothing more."""
        status = (
            health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in ("", SERVICE):
            await self.health.set(name, status)

    async def announce_drain(self) -> None:
        """Tell health checks that no new work is wanted."""
        await self.health.enter_graceful_shutdown()


@asynccontextmanager
async def grpc_door(
    host: str, port: int, use_cases: UseCases, *, callers: Callers | None, tls: Tls | None, max_watches: int
) -> AsyncIterator[GrpcDoor]:
    """Serve on ``host``:``port`` (0: any free port) until the block ends. Raises ``CannotListen``.

    Without ``callers`` everyone who gets through is the same tenant.
    """
    _check_rules()
    server = grpc.aio.server(interceptors=[callers] if callers else None, options=OPTIONS)
    service = ImageEditService(
        use_cases, WatchBudget(max_watches), current_tenant if callers else _one_tenant
    )
    pb_grpc.add_ImageEditServiceServicer_to_server(service, Border(server))  # type: ignore[arg-type]
    status = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    address = f"{host}:{port}"
    try:
        bound = (
            server.add_secure_port(address, tls.credentials()) if tls else server.add_insecure_port(address)
        )
    except RuntimeError:
        listen_on(SETTING, host, port).close()  # which says why, as gRPC does not
        raise CannotListen(
            f"{SETTING}: cannot listen on {address}; it was taken just now, try again"
        ) from None
    await server.start()
    door = GrpcDoor(server, status, bound)
    await door.announce(True)
    try:
        yield door
    finally:
        await server.stop(grace=None)


def _one_tenant() -> str:
    return DEFAULT_TENANT


def _check_rules() -> None:
    """Do not even start with a method that nobody made a rule for (P23)."""
    served = {f"/{service.full_name}/{method.name}" for service in SERVED for method in service.methods}
    if without := served - set(RULES):
        raise AssertionError(f"{', '.join(without)}: who may call this? See authorisation.RULES")
