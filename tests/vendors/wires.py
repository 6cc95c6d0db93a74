"""How every vendor's reply can be lost on its way, whatever the vendor did (PROMISES F43, F44)."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from tests.vendors import serving
from tests.vendors.serving import Answer, Response, Wire

B_co = TypeVar("B_co", covariant=True)


class OnTheWire(Protocol[B_co]):
    """Makes a vendor's behaviour of one on the socket; ``works`` says whether it did the work before."""

    def __call__(self, name: str, wire: Wire, *, works: bool = True) -> B_co: ...


def broken_wires(
    on_the_wire: OnTheWire[B_co], replies: Callable[[str, Callable[[Response], Answer]], B_co]
) -> tuple[B_co, ...]:
    """Return the behaviours, as the vendor's own two functions make them."""
    return (
        on_the_wire("hangs", serving.hang),
        on_the_wire("hangs and did nothing", serving.hang, works=False),
        replies("drips", serving.drip),
        replies("drips the body", serving.drip_body),
        on_the_wire("resets after receipt", serving.reset),
        on_the_wire("resets before receipt", serving.reset, works=False),
        on_the_wire("hangs up", serving.hang_up),
        replies("is cut short", serving.cut),
        replies("resets within the body", serving.reset_within),
        on_the_wire("speaks no HTTP", serving.not_http),
        on_the_wire("endless headers", serving.endless_headers),
        on_the_wire("endless body", serving.endless_body),
        replies("gzip bomb", lambda _: serving.gzip_bomb()),
    )
