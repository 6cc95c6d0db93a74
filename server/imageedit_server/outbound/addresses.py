"""The address rule (PROMISES §3): what may be fetched for somebody else, and what may be configured.

Pure functions: nothing here asks a resolver.
"""

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import httpx

from imageedit_server.outbound.urls import (
    HTTPS_PORT,
    host_of,
    literal_of,
    parse_url,
    place_of,
    port_of,
)

MAX_PORT = 65535
MAX_HOST_CHARS = 253

DENIED: tuple[IPv4Network | IPv6Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host agent, in public space
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",  # a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4 in IPv6, four times: as is, translated, NAT64, NAT64 of one's own
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo and others
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""No address in one of these is ever connected to, whatever a Python version thinks of it."""

_GLOBAL_IPV6 = IPv6Network("2000::/3")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?", re.ASCII)
_PLACE = re.compile(r"[^/?#@\s]+:[0-9]{1,5}", re.ASCII)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_INNER_DOMAINS = (".internal", ".localhost", ".local", ".localdomain", ".lan", ".home.arpa")
_ENCODED_CONTROL = re.compile(rb"%(?:[01][0-9a-f]|7f)", re.IGNORECASE)


def is_denied(address: str) -> bool:
    """Whether ``address`` must not be connected to. What is no IP address, or has a zone, is denied."""
    try:
        ip = ip_address(address)
    except ValueError:
        return True
    if isinstance(ip, IPv6Address):
        if ip.scope_id is not None:
            return True
        ip = ip.ipv4_mapped or ip
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_IPV6:
        return True
    return not ip.is_global or ip.is_multicast or any(ip in network for network in DENIED)


def refuse_url(text: str, allow: Collection[str] = ()) -> str | None:
    """Return why ``text`` is not fetched, as the end of a sentence, or None if only its addresses can tell.

    Never raises. ``allow`` is from ``parse_allow``: what is in it may be http, and any host and port.
    """
    url = parse_url(text)
    return "is not a valid URL" if url is None else _refuse_form(url) or _refuse_place(url, allow)


def parse_allow(entries: Iterable[str]) -> frozenset[str]:
    """Return the entries of ``fetch.allow`` in the form they are compared in. Raises ``ValueError``."""
    return frozenset(map(_parse_place, entries))


def check_base_url(text: str, allow: Collection[str] = ()) -> str:
    """Return the base URL of an API without a slash at its end; empty stays empty, which means unset.

    Raises ``ValueError``, whose text completes "<setting> …", unless the URL is https, or http to loopback or
    to an entry of ``allow`` (from ``parse_allow``).
    """
    if not text:
        return text
    url = parse_url(text)
    if url is None or url.scheme not in ("https", "http") or not _is_host(host_of(url)):
        raise ValueError("must be a URL that begins with https://")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("must have no user name, password, query or fragment")
    if not 1 <= port_of(url) <= MAX_PORT:
        raise ValueError("has a port that does not exist")
    if url.scheme == "http" and not _is_loopback(host_of(url)) and place_of(url) not in allow:
        raise ValueError("must be https, or http to this machine or to a host:port in fetch.allow")
    return text.rstrip("/?#")


def _parse_place(entry: str) -> str:
    url = parse_url(f"http://{entry}")
    if url is None or not _PLACE.fullmatch(entry) or not 1 <= port_of(url) <= MAX_PORT:
        raise ValueError(f"must be host:port, not {entry!r}")
    return place_of(url)


def _refuse_form(url: httpx.URL) -> str | None:
    if url.scheme not in ("https", "http") or not url.raw_host:
        return "is not an https URL"
    if url.userinfo:
        return "has a user name or a password in it"
    if _ENCODED_CONTROL.search(url.raw_path.partition(b"?")[0]):
        return "has control characters in its path"
    return None


def _refuse_place(url: httpx.URL, allow: Collection[str]) -> str | None:
    if place_of(url) in allow:
        return None
    if url.scheme != "https":
        return "is not an https URL"
    if port_of(url) != HTTPS_PORT:
        return f"has another port than {HTTPS_PORT}"
    return _refuse_host(host_of(url))


def _refuse_host(host: str) -> str | None:
    labels = host.split(".")
    if literal_of(host) or _NUMERIC_LABEL.fullmatch(labels[-1]):
        return "names an address instead of a host"
    if not _is_host(host):
        return "has a host name that is not valid"
    if len(labels) == 1 or f".{host}".endswith(_INNER_DOMAINS):
        return "has a host name of a private network"
    return None


def _is_host(host: str) -> bool:
    is_name = len(host) <= MAX_HOST_CHARS and all(map(_LABEL.fullmatch, host.split(".")))
    return is_name or literal_of(host) is not None


def _is_loopback(host: str) -> bool:
    literal = literal_of(host)
    return ip_address(literal).is_loopback if literal else host == "localhost"
