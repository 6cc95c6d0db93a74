"""grpc.health.v1: open to everyone without a key, so what it may take of the server is bounded."""

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from imageedit_server.access.watches import WatchBudget

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING
UNKNOWN = "unknown"
MAX_PER_CONNECTION = 10
MAX_PER_SERVER = 1000

messages: Any = health_pb2  # its stubs know nothing of List
Context = grpc.aio.ServicerContext[Any, Any]


class Health(health.aio.HealthServicer):
    """Tells of the services with these names; ``""`` is the whole server.

    Watches have a budget of their own, beside that of WatchTask: a client needs one for a connection.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__()
        self._names = names
        self._watches = WatchBudget(per_connection=MAX_PER_CONNECTION, per_server=MAX_PER_SERVER)

    async def announce(self, ready: bool) -> None:
        """Tell whether traffic is wanted; after ``enter_graceful_shutdown`` nothing more is heard."""
        for name in self._names:
            await self.set(name, SERVING if ready else NOT_SERVING)

    async def List(self, _: Any, context: Context) -> Any:
        """Answer the status of everything that ``Check`` knows, by name."""
        checks = {name: await self.Check(HealthCheckRequest(service=name), context) for name in self._names}
        return messages.HealthListResponse(statuses=checks)

    async def Watch(self, request: HealthCheckRequest, context: Context) -> None:
        """Send the status, and each new one. Raises WATCH_LIMIT."""
        known = request.service in self._names  # a name that a stranger made up, of any length, is not kept
        with self._watches.spend(context.peer()):
            await super().Watch(request if known else HealthCheckRequest(service=UNKNOWN), context)
