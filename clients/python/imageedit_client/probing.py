"""Why a server hung up, which gRPC does not say: a handshake of our own, in which nothing is sent or trusted.

Who hangs up may be a doorway whose server is being started, which is worth another try, or a server that will
hang up again: one that speaks TLS to a client that does not, or that asks for a certificate.
"""

import socket
import ssl
from pathlib import Path

SECONDS = 2.0
"""For each step. The server was reached a moment ago."""


def speaks_tls(address: str, certificate: tuple[Path, Path] | None = None) -> bool:
    """Whether a TLS handshake with HOST:PORT succeeds. Takes up to 4 s of a server that does not answer."""
    return _shakes_hands(address, certificate, ssl.TLSVersion.MAXIMUM_SUPPORTED)


def refuses_certificate(address: str, certificate: tuple[Path, Path] | None = None) -> bool:
    """Whether a server that speaks TLS hangs up for the certificate that it is shown, or for want of one.

    Only up to version 1.2 it does so within the handshake; in 1.3 it is told by nothing from one that hangs
    up after it for another reason. The first question is the last again: servers come and go.
    """
    if not speaks_tls(address, certificate) or _shakes_hands(address, certificate, ssl.TLSVersion.TLSv1_2):
        return False
    return speaks_tls(address, certificate)


def _shakes_hands(address: str, certificate: tuple[Path, Path] | None, newest: ssl.TLSVersion) -> bool:
    host, _, port = address.rpartition(":")
    try:
        context = _context(certificate, newest)
        with socket.create_connection((host.strip("[]"), int(port)), SECONDS) as connection:
            connection.settimeout(SECONDS)
            context.wrap_socket(connection, server_hostname=host.strip("[]")).close()
    except ssl.SSLError as error:
        return "PROTOCOL_VERSION" in str(error)  # it speaks TLS, if not of this version
    except (OSError, ValueError):
        return False
    return True


def _context(certificate: tuple[Path, Path] | None, newest: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = newest
    context.set_alpn_protocols(["h2"])
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context
