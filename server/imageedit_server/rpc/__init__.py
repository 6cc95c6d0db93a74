"""The gRPC door, the only room of the server with grpc.

On its way a call passes ``authentication`` (who calls), ``metering``, ``border`` (what is malformed, and what
went wrong) and then its handler in ``service``.
"""

import logging
import os

# gRPC's own lines go past our log to stderr, in a form of their own, and strangers cause them at will. It
# reads this when it is imported; whoever seeks a fault in it sets INFO.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


_LEFT_OUT = ("Invalid encoding on", "ExecuteBatchError raised in core")


def _tells_of_no_stranger(record: logging.LogRecord) -> bool:
    """Leave out the tracebacks that strangers cause at will.

    Of every header that is no UTF-8, with its value, which may be a key (P26); and of every call that broke
    as its answer was on its way, as if that were an error of ours.
    """
    return not str(record.msg).startswith(_LEFT_OUT)


logging.getLogger("grpc._cython.cygrpc").addFilter(_tells_of_no_stranger)
