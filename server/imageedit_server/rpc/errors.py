"""Refusals to gRPC statuses: the one place where errors become this transport."""

from typing import Any

import grpc

from imageedit_server.core.errors import Refusal
from imageedit_server.wire.errors import status_of

DETAILS_KEY = "grpc-status-details-bin"
"""Where gRPC's clients look for the details of a status."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


async def abort(context: grpc.aio.ServicerContext[Any, Any], refusal: Refusal) -> None:
    """End the call with the refusal's status and details, beside the trailers it has. Always raises."""
    status = status_of(refusal)
    trailing = ((DETAILS_KEY, status.SerializeToString()), *context.trailing_metadata())
    await context.abort(_CODES[status.code], status.message, trailing_metadata=trailing)
