"""What every server reads at its start and is the same for all: a process that imports this reads it once.

So do its forks.

The public authorities take 30 ms of CPU, the metadata of three libraries 10, all else until a server serves
40. What is believed is as it is without this, and a ``ca_file`` is read each time.
"""

import ssl
from functools import cache
from importlib.metadata import version

import uvloop  # noqa: F401  8 ms, and a server imports it when it chooses its loop

from imageedit_server.bootstrap import providers
from imageedit_server.outbound.network import authorities
from imageedit_server.runtime import versions

LIBRARIES = ("grpcio", "h11", "uvicorn")

_public = cache(authorities)
_version = cache(version)


def _believed(ca_file: str = "") -> ssl.SSLContext:
    return authorities(ca_file) if ca_file else _public()


_public()
for _library in LIBRARIES:
    _version(_library)
providers.authorities = _believed  # type: ignore[attr-defined]
versions.version = _version  # type: ignore[attr-defined]
