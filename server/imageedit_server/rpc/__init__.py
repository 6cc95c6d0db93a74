"""The gRPC door, the only room of the server with grpc.

On its way a call passes ``authentication`` (who calls), ``metering``, ``border`` (what is malformed, and what
went wrong) and then its handler in ``service``.
"""

import logging
import os

# gRPC's own lines go past our log to stderr, in a form of their own, and strangers cause them at will. It
# reads this when it is imported; whoever seeks a fault in it sets INFO.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _tells_no_header(record: logging.LogRecord) -> bool:
    """Leave out the traceback, with its value, of every header that is no UTF-8: it may be a key (P26)."""
    return not str(record.msg).startswith("Invalid encoding on")


logging.getLogger("grpc._cython.cygrpc").addFilter(_tells_no_header)
