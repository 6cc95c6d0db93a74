"""Taking an address to listen on, and saying why it cannot be taken."""

import errno
import socket

BACKLOG = 128


class CannotListen(Exception):
    """The address cannot be bound; the message is the whole sentence for the operator."""


def listen_on(setting: str, host: str, port: int) -> socket.socket:
    """Bind ``host``:``port`` (0: any free port), which ``setting`` names. Raises ``CannotListen``."""
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=BACKLOG)
    except (OSError, ValueError) as error:  # ValueError for what can be no host name
        option = setting.rpartition(".")[2].replace("_", "-")
        raise CannotListen(
            f"{setting}: cannot listen on {host}:{port}: {_why(error)} choose another address with {setting}"
            f" or --{option}"
        ) from None


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "that is no host name;"
    taken = error.errno == errno.EADDRINUSE
    return "another program listens there; stop it, or" if taken else f"{error.strerror};"
