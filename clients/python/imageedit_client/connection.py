"""How to reach the service: channel options, TLS and the credential."""

import re
import warnings
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

import grpc

from .hints import Hint, connection_hint
from .probing import refuses_certificate, speaks_tls

DEFAULT_ADDRESS = "127.0.0.1:50051"
MIB = 1024 * 1024

OPTIONS: dict[str, int] = {
    # A restarted server is found again within two seconds, also when it drops packets meanwhile.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 2000,
    "grpc.max_reconnect_backoff_ms": 2000,
    # A page of tasks with long prompts is larger than gRPC's 4 MiB.
    "grpc.max_receive_message_length": 64 * MIB,
    # A server that vanished under a call is noticed within 40 seconds: a connection that was silent for 30 is
    # pinged, and closed when nothing answers for 10. gRPC reads its keepalive_timeout_ms nowhere in this.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.http2.ping_timeout_ms": 10_000,
    # A second client is a second connection, which is what WATCH_LIMIT asks for.
    "grpc.use_local_subchannel_pool": 1,
}


HOST_AND_PORT = re.compile(r"(\[[^\]]+\]|[^:/\[\]]+):[0-9]{1,5}")
# Or what else gRPC reads.
TARGET = re.compile(rf"{HOST_AND_PORT.pattern}|(dns|ipv4|ipv6|unix|unix-abstract|vsock|xds):.+")


class UnencryptedKeyWarning(UserWarning):
    """The API key travels readable for everyone on the way."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where the service is and how to speak to it. The key is never part of its repr."""

    # HOST:PORT.
    address: str = DEFAULT_ADDRESS
    # Use TLS with the system's roots; implied by ca_file and cert_file.
    tls: bool = False
    # PEM file of the authorities to trust instead of the system's.
    ca_file: Path | None = None
    # PEM files of this client's own certificate and its key, for a service that asks clients for one.
    cert_file: Path | None = None
    key_file: Path | None = None
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not TARGET.fullmatch(self.address):
            raise ValueError(
                f"the address must be HOST:PORT, such as {DEFAULT_ADDRESS}, and not {self.address}"
            )
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ValueError("the api key must be printable ASCII without line breaks")
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("a client certificate and its key belong together: give both files")

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What each call carries."""
        return (("authorization", f"Bearer {self.api_key}"),) if self.api_key else ()

    def credentials(self) -> grpc.ChannelCredentials | None:
        """TLS credentials, or None for a plaintext channel. Raises OSError for a file that cannot be read."""
        if self.is_plaintext():
            return None
        files = (self.ca_file, self.key_file, self.cert_file)
        return grpc.ssl_channel_credentials(*(file.read_bytes() if file else None for file in files))

    def options(self) -> list[tuple[str, int]]:
        """Channel arguments of gRPC."""
        # A proxy from the environment cannot reach this machine's own loopback.
        return [*OPTIONS.items(), *([("grpc.enable_http_proxy", 0)] if self.is_loopback() else [])]

    def hint(self, message: str) -> Hint | None:
        """What keeps a connection of which gRPC says this from being made; None when nobody knows.

        Asks a server that hung up whether it will again, which may take some seconds.
        """
        found = connection_hint(message, plaintext=self.is_plaintext())
        if found is not None and found.hung_up and self._hangs_up_for_good():
            return replace(found, lasting=True)
        return found

    def _hangs_up_for_good(self) -> bool:
        if HOST_AND_PORT.fullmatch(self.address) is None:
            return False
        if self.is_plaintext():
            return speaks_tls(self.address)
        mine = (self.cert_file, self.key_file) if self.cert_file and self.key_file else None
        return refuses_certificate(self.address, mine)

    def shows_key(self) -> bool:
        """Whether the API key can be read on its way to another machine."""
        return bool(self.api_key) and self.is_plaintext() and not self.is_loopback()

    def warn(self) -> None:
        """Warns whoever makes a client, which calls this, of a key that can be read on its way."""
        if self.shows_key():
            message = f"the API key travels unencrypted to {self.address}; give ca_file, or tls=True"
            warnings.warn(message, UnencryptedKeyWarning, stacklevel=3)

    def is_plaintext(self) -> bool:
        """Whether anyone on the way can read what is sent."""
        return not self.tls and self.ca_file is None and self.cert_file is None

    def is_loopback(self) -> bool:
        """Whether the address is on this machine."""
        host = self.address.rsplit(":", 1)[0].strip("[]")
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or self.address.startswith("unix:")
