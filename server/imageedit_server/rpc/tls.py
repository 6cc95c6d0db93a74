"""TLS for the gRPC door: certificates that are read again when their files change, without a restart.

gRPC's own lowest version is TLS 1.2.
"""

import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc

from imageedit_server.access.reload import Reloaded, Unusable, read_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """PEM files: the server's certificate chain, its key, and the authorities of clients, if they need one.

    With ``client_ca`` a client must show a certificate of one of these, which counts as authentication.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None


class Tls:
    """The server's credentials. Raises ``Unusable`` for files that cannot be used."""

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        paths = [path for path in (files.cert, files.key, files.client_ca) if path is not None]
        self.files: Reloaded[grpc.ServerCertificateConfiguration] = Reloaded(paths, self._read)
        self._given = self.files.value

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a port is opened with; each handshake uses the newest certificate that is good."""
        return grpc.dynamic_ssl_server_credentials(
            self._given,
            self._news,  # type: ignore[arg-type]  # the stubs leave out None, which is no news
            require_client_authentication=self._files.client_ca is not None,
        )

    def _news(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what gRPC does not have yet. It asks at every handshake, in a thread of its own."""
        newest = self.files.value
        if newest is self._given:
            return None
        self._given = newest
        return newest

    def _read(self) -> grpc.ServerCertificateConfiguration:
        cert, key = read_bytes("tls.cert_file", self._files.cert), read_bytes("tls.key_file", self._files.key)
        client_ca = read_bytes("tls.client_ca_file", self._files.client_ca) if self._files.client_ca else None
        self._check()
        return grpc.ssl_server_certificate_configuration([(key, cert)], root_certificates=client_ca)

    def valid_until(self) -> str:
        """Return when the certificate ends. Raises ``Unusable`` when no client takes it: when it has expired.

        A client that trusts the file itself connects in memory, and looks at what every client looks at.
        """
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False  # which names the callers use, nobody here knows
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.load_verify_locations(self._files.cert)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = client.wrap_bio(to_client, to_server)
        server = self._check().wrap_bio(to_server, to_client, server_side=True)
        try:
            for side in (caller, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
            caller.do_handshake()
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", error.reason)
            raise Unusable(f"tls.cert_file: no client takes {self._files.cert}: {why}; renew it") from None
        certificate = caller.getpeercert()
        assert certificate
        return str(certificate["notAfter"])

    def _check(self) -> ssl.SSLContext:
        """Find out what gRPC would only say when a client comes."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._files.cert, self._files.key, password=_no_password)
        except (ssl.SSLError, OSError):
            raise Unusable(
                f"tls.cert_file: {self._files.cert} is not a PEM certificate chain that belongs to the key"
                f" without a password in {self._files.key}"
            ) from None
        try:
            if self._files.client_ca is not None:
                context.load_verify_locations(self._files.client_ca)
        except (ssl.SSLError, OSError):
            raise Unusable(f"tls.client_ca_file: {self._files.client_ca} has no PEM certificate") from None
        return context


def _no_password() -> str:
    """Answer OpenSSL, which would ask on the terminal."""
    return ""
