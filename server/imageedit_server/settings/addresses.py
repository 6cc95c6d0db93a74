"""Where to listen: ``HOST:PORT``."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

ADDRESS_FORM = "HOST:PORT, such as 127.0.0.1:50051"
_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A host and a port to listen on; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read ``HOST:PORT``. Raises ``ValueError`` with a sentence."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"must be {ADDRESS_FORM}")
    return Address(host=match["host"], port=int(match["port"]))
