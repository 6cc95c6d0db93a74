"""Whether the gRPC door takes new connections: seen from outside, by making one.

After some errors of the machine, such as a table of files that is full, gRPC never accepts again and tells
nobody; what is connected goes on, and so does HTTP.
"""

import asyncio
import ssl
from contextlib import suppress

LOOK_SECONDS = 5.0
ANSWER_SECONDS = 5.0
DEAF_LOOKS = 12
"""After so many in a row, two minutes, it will not take any again: only a new process does."""
FAILURES = 2
"""So many looks in a row must find nothing: one may be late on a machine that is busy."""
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104  where it listens, not where it connects

_REFUSED = "gRPC has as many connections as it may; new ones are closed at once"
_DEAF = "gRPC takes no new connections; if that lasts, the server ends, to be started again"


class Deaf(Exception):
    """No new connection was taken for ``DEAF_LOOKS`` looks: the process must end."""


class Acceptance:
    """Looks every ``LOOK_SECONDS`` whether who connects is spoken to."""

    def __init__(self) -> None:
        self._trouble = ""

    def trouble(self) -> str:
        """Say what keeps new connections out, empty when nothing does."""
        return self._trouble

    async def follow(self, host: str, port: int, *, tls: bool) -> None:
        """Keep looking until cancelled. Raises ``Deaf``."""
        host = _EVERYWHERE.get(host, host.strip("[]"))
        failures = deaf = 0
        while True:
            found = await look(host, port, tls=tls)
            failures = failures + 1 if found else 0
            deaf = deaf + 1 if found == _DEAF else 0
            if deaf >= DEAF_LOOKS:
                raise Deaf("gRPC takes no new connections any more")
            if not found or failures >= FAILURES:
                self._trouble = found
            await asyncio.sleep(LOOK_SECONDS)


async def look(host: str, port: int, *, tls: bool) -> str:
    """Connect once; return what is wrong with how that goes."""
    writer = None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=_anybody() if tls else None)
            return "" if tls or await reader.read(1) else _REFUSED  # in plaintext, the server speaks first
    except ssl.SSLError:
        return ""  # it does not like us, and said so
    except TimeoutError:
        return _DEAF
    except ConnectionError:
        return _REFUSED
    except OSError as error:
        return f"gRPC cannot be connected to: {error.strerror}"
    finally:
        if writer is not None:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


def _anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context
