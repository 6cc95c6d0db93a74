"""Addresses of results as vendors write them: without their own host, or with letters that a URL has encoded.

Whether an address may be fetched is not decided here: what is made of it meets the guarded fetch.
"""

from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urljoin

from imageedit_server.providers.base import Finished

MAX_URL_CHARS = 8192

T = TypeVar("T")


def address_in(value: Any) -> str:
    """Return what can be the address of a result; empty for the rest.

    It may lack the vendor's origin, and be written in any script: it is encoded when it is fetched.
    """
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS or not value.isprintable():
        return ""
    return value if value.lower().startswith(("https://", "http://", "/")) else ""


def at_origin(answer: T, base_url: str) -> T:
    """Return a result with every address that has no host set against the origin of ``base_url``.

    Anything but a ``Finished`` is returned as it is.
    """
    if not isinstance(answer, Finished):
        return answer
    outputs = [
        replace(output, url=_absolute(output.url, base_url)) if output.url.startswith("/") else output
        for output in answer.outputs
    ]
    return replace(answer, outputs=tuple(outputs))


def _absolute(url: str, base_url: str) -> str:
    try:
        return urljoin(base_url, url)
    except ValueError:  # what looks like a host and is none: the guarded fetch refuses it as it was written
        return url
