"""The server's TLS certificate: files that are read again when they change, without a restart."""

import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from imageedit_server.access.reload import Reloaded, Unusable, read_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateFiles:
    """PEM files: the server's certificate chain, its key, and the authorities of clients, if they need one.

    With ``client_ca`` a client must show a certificate of one of these, which counts as authentication.
    """

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """What the files say, which was found to belong together."""

    chain: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None


class Certificates:
    """What a door shows its clients. Raises ``Unusable`` for files that cannot be used."""

    def __init__(self, files: CertificateFiles) -> None:
        self.files = files
        paths = [path for path in (files.cert, files.key, files.client_ca) if path is not None]
        self._newest = Reloaded(paths, self._read)

    @property
    def newest(self) -> Certificate:
        """The newest certificate that is good."""
        return self._newest.value

    def look(self) -> None:
        """Read the files if they changed. Blocks for as long as reading."""
        self._newest.look()

    def valid_until(self) -> str:
        """Return when the certificate ends. Raises ``Unusable`` when no client takes it: when it has expired.

        A client that trusts the file itself connects in memory, and looks at what every client looks at.
        """
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False  # which names the callers use, nobody here knows
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.load_verify_locations(self.files.cert)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = client.wrap_bio(to_client, to_server)
        server = self.context().wrap_bio(to_server, to_client, server_side=True)
        try:
            for side in (caller, server):
                with suppress(ssl.SSLWantReadError):
                    side.do_handshake()
            caller.do_handshake()
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", error.reason)
            raise Unusable(f"tls.cert_file: no client takes {self.files.cert}: {why}; renew it") from None
        certificate = caller.getpeercert()
        assert certificate
        return str(certificate["notAfter"])

    def context(self) -> ssl.SSLContext:
        """Return how a server speaks TLS with these files, without asking clients for theirs."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self.files.cert, self.files.key, password=_no_password)
        except (ssl.SSLError, OSError):
            raise Unusable(
                f"tls.cert_file: {self.files.cert} is not a PEM certificate chain that belongs to the key"
                f" without a password in {self.files.key}"
            ) from None
        try:
            if self.files.client_ca is not None:
                context.load_verify_locations(self.files.client_ca)
        except (ssl.SSLError, OSError):
            raise Unusable(f"tls.client_ca_file: {self.files.client_ca} has no PEM certificate") from None
        return context

    def _read(self) -> Certificate:
        files = self.files
        chain, key = read_bytes("tls.cert_file", files.cert), read_bytes("tls.key_file", files.key)
        client_ca = read_bytes("tls.client_ca_file", files.client_ca) if files.client_ca else None
        self.context()  # finds out what gRPC would only say when a client comes
        return Certificate(chain=chain, key=key, client_ca=client_ca)


def _no_password() -> str:
    """Answer OpenSSL, which would ask on the terminal."""
    return ""
