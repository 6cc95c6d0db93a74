"""What gRPC says when a connection cannot be made, and what most likely mends it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Hint:
    """`found` in the words of gRPC, on a channel that is plaintext or not (None: either), means `remedy`."""

    found: str
    remedy: str
    plaintext: bool | None = None


HUNG_UP = "failed to connect.*(Socket closed|Connection reset|Broken pipe)"

# Most specific first. Remedies name the arguments of a client; the command has options of the same names.
HINTS = (
    Hint("http1.x server", "that is an HTTP port; give the address that the server prints after grpc="),
    Hint(
        HUNG_UP,
        "the server hung up at once, so it probably speaks TLS; give ca_file, or tls=True",
        plaintext=True,
    ),
    Hint(
        HUNG_UP,
        "the server hung up in the handshake, so it probably asks for a client certificate that it trusts;"
        " give cert_file and key_file",
        plaintext=False,
    ),
    Hint("WRONG_VERSION_NUMBER", "the server does not speak TLS; leave out tls=True, ca_file and cert_file"),
    Hint("certificate has expired", "the server's certificate has expired; its operator must renew it"),
    Hint(
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is of an authority that is not trusted here; give ca_file",
    ),
    Hint("Hostname Verification", "the server's certificate is for other names; give one of them as address"),
    Hint("security handshaker", "ca_file, or cert_file and key_file, cannot be used; give PEM files"),
    Hint(
        "Connection refused",
        "connection refused; start a server with imageedit-server serve, or give another address",
    ),
)


def hint_for(message: str, *, plaintext: bool) -> str:
    """The remedy for what gRPC said on such a channel; empty when nobody knows one."""
    fitting = (each for each in HINTS if each.plaintext in (None, plaintext))
    return next((each.remedy for each in fitting if re.search(each.found, message, re.DOTALL)), "")
