"""The errors of this room, and the one table in which httpx's errors become them (PROMISES §2).

OutboundError
 ├─ NotSent    the vendor cannot have seen the request
 └─ Broken     the vendor may have seen it, and its reply is lost or unusable
     ├─ Late           its reply, or the end of it, did not come in time
     └─ Unacceptable   its reply is one that we do not take, and would not the next time
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx


class OutboundError(Exception):
    """A call brought no reply. The message is for people and holds no secret."""


class NotSent(OutboundError):
    """The vendor cannot have seen the request."""


class Broken(OutboundError):
    """The vendor may have seen the request."""


class Late(Broken):
    """The reply, or its end, did not come within the limit of the call."""


class Unacceptable(Broken):
    """The reply is larger than asked for, or compressed."""


class BadBody(Exception):
    """A reply's body is not the JSON that it should be."""


class NameUnresolved(OSError):
    """A host name has no address, or none came in time."""


Meaning = tuple[type[NotSent] | type[Broken], str]

MEANINGS: Mapping[type[Exception], Meaning] = {
    httpx.UnsupportedProtocol: (NotSent, "The URL is neither http nor https."),
    httpx.InvalidURL: (NotSent, "The URL is not valid."),
    httpx.ConnectError: (NotSent, "No connection could be made."),
    httpx.ConnectTimeout: (NotSent, "No connection could be made in time."),
    httpx.PoolTimeout: (NotSent, "No connection was free in time."),
    httpx.WriteError: (Broken, "The connection broke while the request was sent."),
    httpx.WriteTimeout: (Broken, "The request could not be sent in time."),
    httpx.ReadError: (Broken, "The connection broke before the whole reply had come."),
    httpx.ReadTimeout: (Broken, "The reply did not come in time."),
    httpx.CloseError: (Broken, "The connection could not be closed."),
    httpx.RemoteProtocolError: (Broken, "The reply is not proper HTTP."),
    httpx.DecodingError: (Broken, "The reply could not be decoded."),
    # Ours to prevent (headers are checked, bodies match their length): nothing tells how far it got.
    httpx.LocalProtocolError: (Broken, "The request is not proper HTTP."),
    # Never provoked here: no proxy, no automatic redirect, no raised status, no cookie, no second reading.
    httpx.ProxyError: (Broken, "The proxy failed."),
    httpx.TooManyRedirects: (Broken, "The reply redirects too often."),
    httpx.HTTPStatusError: (Broken, "The reply is an error."),
    httpx.CookieConflict: (Broken, "The reply's cookies contradict each other."),
    httpx.StreamConsumed: (Broken, "The reply was read twice."),
    httpx.StreamClosed: (Broken, "The reply was closed before it was read."),
    httpx.ResponseNotRead: (Broken, "The reply was not read."),
    httpx.RequestNotRead: (Broken, "The request was not read."),
    # The families, for a class that a later httpx may add to them.
    httpx.TimeoutException: (Broken, "The reply did not come in time."),
    httpx.NetworkError: (Broken, "The connection broke."),
    httpx.ProtocolError: (Broken, "The reply is not proper HTTP."),
    httpx.TransportError: (Broken, "The connection broke."),
    httpx.RequestError: (Broken, "The call failed."),
    httpx.HTTPError: (Broken, "The call failed."),
    httpx.StreamError: (Broken, "The reply could not be read."),
}
"""What each error of httpx proves. A class that is not here means what its nearest ancestor means."""

UNKNOWN: Meaning = (Broken, "The call failed.")


def classify(error: BaseException) -> type[NotSent] | type[Broken]:
    """Return what an error proves: Broken unless the table says that nothing can have been sent."""
    return _meaning(error)[0]


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn every error into ``NotSent`` or ``Broken``: also what a lower layer lets through unmapped."""
    try:
        yield
    except OutboundError:
        raise
    except Exception as error:
        raise outbound_error(error) from error


def outbound_error(error: BaseException) -> OutboundError:
    """Return ``error`` in the words of this room. Of its own text only a certificate's fault is repeated."""
    kind, sentence = _meaning(error)
    for cause in _causes(error):
        if isinstance(cause, NameUnresolved):
            return kind("The name of the host could not be resolved.")
        if isinstance(cause, ssl.SSLCertVerificationError):
            return kind(f"The host's certificate is refused: {cause.verify_message}.")
        if isinstance(cause, ssl.SSLError):
            return kind("TLS with the host failed.")
    return kind(sentence)


def _meaning(error: BaseException) -> Meaning:
    return next((MEANINGS[kind] for kind in type(error).__mro__ if kind in MEANINGS), UNKNOWN)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
