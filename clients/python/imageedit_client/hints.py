"""What gRPC says when no answer of the service came, and what most likely mends it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """`found` in the words of gRPC, on a channel that is plaintext or not (None: either), means `remedy`."""

    found: str
    remedy: str
    plaintext: bool | None = None
    # Whoever asks again hears the same, so that trying again is no use.
    lasting: bool = False
    # The server hung up and did not say why: whether it lasts can be found out by asking it.
    hung_up: bool = False


HTTP_PORT = "that is an HTTP port, or one that wants TLS; give the address that the server prints after grpc="
HUNG_UP = "failed to connect.*(Socket closed|Connection reset|Broken pipe)"
STATUS = "http2 header with status: "

# Of a connection that cannot be made. Most specific first. Remedies name the arguments of a client; the
# command has options of the same names. Who hangs up may also be a doorway whose server is being started.
CONNECTIONS = (
    Hint(found="http1.x server", remedy=HTTP_PORT + ", or tls=True", plaintext=True, lasting=True),
    Hint(
        found="missing selected ALPN",
        remedy="that port speaks TLS and no HTTP/2, so it is not the service's, or a proxy's without HTTP/2",
        lasting=True,
    ),
    Hint(
        found="WRONG_VERSION_NUMBER",
        remedy="the server does not speak TLS; leave out tls=True, ca_file and cert_file",
        lasting=True,
    ),
    Hint(
        found="certificate has expired",
        remedy="the server's certificate has expired; its operator must renew it",
        lasting=True,
    ),
    Hint(
        found="certificate is not yet valid",
        remedy="the server's certificate is not valid yet; compare this machine's clock with the server's",
        lasting=True,
    ),
    Hint(
        found="CERTIFICATE_VERIFY_FAILED",
        remedy="the server's certificate is of an authority that is not trusted here; give ca_file",
        lasting=True,
    ),
    Hint(
        found="Hostname Verification",
        remedy="the server's certificate is for other names; give one of them as address",
        lasting=True,
    ),
    Hint(
        found="security handshaker",
        remedy="ca_file, or cert_file and key_file, cannot be used; give PEM files that belong together",
        lasting=True,
    ),
    Hint(
        found="_ALERT_.*PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL",
        remedy="the server speaks another version of TLS; gRPC speaks 1.2 and 1.3",
        lasting=True,
    ),
    Hint(
        found="_ALERT_",
        remedy="the server refused the handshake; it may ask for a client certificate that it trusts, or"
        " speak another version of TLS; give cert_file and key_file",
        lasting=True,
    ),
    Hint(
        found=HUNG_UP,
        remedy="the server hung up at once, so it probably speaks TLS; give ca_file, or tls=True",
        plaintext=True,
        hung_up=True,
    ),
    Hint(
        found=HUNG_UP,
        remedy="the server hung up in the handshake, so it probably asks for a client certificate that it"
        " trusts; give cert_file and key_file",
        plaintext=False,
        hung_up=True,
    ),
    Hint(
        found="Connection refused",
        remedy="connection refused; start a server with imageedit-server serve, or give another address",
    ),
)

# Of what something between the client and the service answers, or gRPC itself. HTTP statuses are a proxy's.
ANSWERS = (
    Hint(
        found=f"{STATUS}413|(?i:(payload|entity|content) too large)",
        remedy="a proxy on the way takes no message of this size; in nginx raise client_max_body_size,"
        " 0 takes any",
        lasting=True,
    ),
    Hint(
        found=f"{STATUS}40[17]",
        remedy="a proxy on the way asks for credentials of its own; it is not the service that refuses",
        lasting=True,
    ),
    Hint(
        found=f"{STATUS}403",
        remedy="a proxy on the way refuses the call; it is not the service that does",
        lasting=True,
    ),
    Hint(
        found=f"{STATUS}40[45]",
        remedy="a web server answers there, and not the service; give another address, or let the proxy pass"
        " /imageedit.v1.ImageEditService/ on",
        lasting=True,
    ),
    Hint(found=f"{STATUS}429", remedy="a proxy on the way takes fewer calls in this time"),
    Hint(
        found=f"{STATUS}4",
        remedy="a proxy or a web server on the way refuses the call; it is not the service that does",
        lasting=True,
    ),
    Hint(
        found=f"{STATUS}3",
        remedy="a web server there names another address; give the service's own, perhaps with tls=True",
        lasting=True,
    ),
    Hint(
        found=f"{STATUS}5|upstream connect error|no healthy upstream",
        remedy="a proxy on the way cannot reach the service",
    ),
    Hint(
        found=f"{STATUS}0",
        remedy="a proxy on the way speaks HTTP/1 to the service; in nginx use grpc_pass",
    ),
    Hint(
        found="Data frame with END_STREAM flag received",
        remedy="what answers there cut the call off: a proxy that lost the service, or no gRPC service",
    ),
    Hint(
        found="SERVER: Received message larger than max",
        remedy="a request holds at most 4 MiB; use UploadImage for pictures, by upload() or by giving files"
        " or bytes, and name them by image_id",
        lasting=True,
    ),
    Hint(
        found="CLIENT: Received message larger than max",
        remedy="the answer is too large for this client; ask for fewer at once with page_size",
        lasting=True,
    ),
    Hint(
        found="Exception (iterating requests|serializing request|deserializing response)",
        remedy="what was to be sent could not be read, or what came is no message of the service",
        lasting=True,
    ),
)

# Of a status that is none of the service's, whatever the words. Proxies and other services give no reason.
STATUSES = {
    "UNIMPLEMENTED": Hint(
        found="",
        remedy="what answers there does not know this call: another service, or a server of another version",
        lasting=True,
    ),
    "PERMISSION_DENIED": Hint(
        found="", remedy="a proxy on the way refuses the call; it is not the service that does", lasting=True
    ),
    "UNAUTHENTICATED": Hint(
        found="",
        remedy="a proxy on the way asks for credentials of its own; it is not the service that refuses",
        lasting=True,
    ),
}

_RANKS = {hint.remedy: rank for rank, hint in enumerate(CONNECTIONS)}


def connection_hint(message: str, *, plaintext: bool) -> Hint | None:
    """What keeps such a channel from being made, by gRPC's message; None when nobody knows."""
    return _first((each for each in CONNECTIONS if each.plaintext in (None, plaintext)), message)


def answer_hint(status: str, message: str) -> Hint | None:
    """What an answer means that does not come from the service; None when nobody knows.

    `status` is the name of a gRPC status.
    """
    return _first(ANSWERS, message) or STATUSES.get(status)


def rank(remedy: str) -> int:
    """How much a connection's remedy explains: 0 is best, and one that is unknown explains least."""
    return _RANKS.get(remedy, len(CONNECTIONS))


def _first(hints: Iterable[Hint], message: str) -> Hint | None:
    return next((each for each in hints if re.search(each.found, message, re.DOTALL)), None)
