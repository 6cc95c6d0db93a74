"""The published service config: how calls are tried again, for channels that have no client of ours (P14).

gRPC cannot look into a request, and a create is only safe to repeat when it carries a `request_id`. So there
are two: `service_config()` never repeats a create; `service_config(request_ids=True)` does, and is for
callers that set a `request_id` in every one. Nothing is hedged, and uploads are not repeated.

    channel = grpc.insecure_channel(address, options=[("grpc.service_config", service_config())])

The same texts are files beside this one, for other languages. Client and AsyncClient do not hand them to
gRPC: they honour the times that the service names, and try for longer. Backoff and codes are the same facts.
"""

import json
from importlib.resources import files
from typing import Any

_FILES = {False: "service_config.json", True: "service_config_with_request_ids.json"}


def service_config(*, request_ids: bool = False) -> str:
    """The JSON text for the channel option `grpc.service_config`."""
    return (files(__package__) / _FILES[request_ids]).read_text()


def retry_policy() -> dict[str, Any]:
    """The one retry policy that all methods with one share."""
    policy: dict[str, Any] = json.loads(service_config())["methodConfig"][0]["retryPolicy"]
    return policy


def seconds(duration: str) -> float:
    """Reads "0.1s"."""
    return float(duration.removesuffix("s"))
