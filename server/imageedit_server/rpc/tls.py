"""TLS at the gRPC door: each handshake uses the newest certificate. gRPC's own lowest version is TLS 1.2."""

import grpc

from imageedit_server.access.certificates import Certificate, Certificates


def server_credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Return what a port is opened with."""
    given = certificates.newest

    def news() -> grpc.ServerCertificateConfiguration | None:
        """Return what gRPC does not have yet. It asks at every handshake, in a thread of its own."""
        nonlocal given
        newest = certificates.newest
        if newest is given:
            return None
        given = newest
        return _configuration(newest)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(given),
        news,  # type: ignore[arg-type]  # the stubs leave out None, which is no news
        require_client_authentication=certificates.files.client_ca is not None,
    )


def _configuration(certificate: Certificate) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificate.key, certificate.chain)], root_certificates=certificate.client_ca
    )
