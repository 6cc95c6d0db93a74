"""One reading of a URL for all who judge it or connect to it (PROMISES §3).

httpx.URL reads it, and only what it read is used. Other parsers see other hosts: to httpx
``http://169。254。169。254/`` is an address, to ``urlsplit`` a name.
"""

from ipaddress import ip_address

import httpx

HTTPS_PORT = 443
HTTP_PORT = 80


def parse_url(text: str) -> httpx.URL | None:
    """Read a URL with the one parser; None for what it does not take."""
    try:
        url = httpx.URL(text)
        url.raw_host.decode("ascii")  # raises for a zone that is not ASCII, which the parser lets pass
    except (httpx.InvalidURL, ValueError):  # also of int() and idna inside
        return None
    return url


def host_of(url: httpx.URL) -> str:
    """Return the host as it goes to the resolver: ASCII, lower-case, without the dot of the root."""
    return url.raw_host.decode("ascii").removesuffix(".")


def port_of(url: httpx.URL) -> int:
    """Return the port, the scheme's own when none is named."""
    if url.port is not None:
        return url.port
    return HTTPS_PORT if url.scheme == "https" else HTTP_PORT


def place_of(url: httpx.URL) -> str:
    """Return ``host:port``, an address in its canonical text: as entries of ``fetch.allow`` are compared."""
    host = host_of(url)
    literal = literal_of(host)
    return f"[{literal}]:{port_of(url)}" if ":" in host else f"{literal or host}:{port_of(url)}"


def as_https(url: httpx.URL) -> httpx.URL:
    """Return the same resource at https, whose port is https's own: no other would pass the address rule."""
    return url.copy_with(scheme="https", port=None)


def literal_of(host: str) -> str | None:
    """Return the canonical text of a host that is an IP address, None for a name."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None
