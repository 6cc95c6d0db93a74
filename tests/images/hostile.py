"""A worker that a picture took over: a job that answers for itself, past all that runs around it."""

import signal
import socket
from contextlib import suppress

from imageedit_server.images.inspection import Inspection


def forge(answer: bytes) -> Inspection:
    """Send ``answer`` to the server as if it came of a job, and say no more."""
    for descriptor in range(3, 64):
        with suppress(OSError):
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, descriptor)
            server.sendall(answer)
    signal.pause()
    raise AssertionError
