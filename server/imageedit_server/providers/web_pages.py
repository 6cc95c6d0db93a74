"""Web pages where an API's answer was due: of a proxy, of an edge, or of a site at a wrong address."""

import html
import re

CHALLENGED = "cf-mitigated"
"""The header with which Cloudflare says that it kept a call to itself."""

_LOOKED_AT = 64 * 1024
_MAX_TITLE_CHARS = 120
_BEGINS = re.compile(
    rb"(<\?xml[^>]{0,200}>\s{0,99})?(<!--.{0,2000}?-->\s{0,99})?<(!doctype\s+html|html|head|body|title|h1|center)\b",
    re.IGNORECASE | re.DOTALL,
)
_TITLE = re.compile(rb"<(title|h1)[^>]{0,200}>(.{1,1000}?)</\1", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]{0,200}>")
_EDGE_JSON = re.compile(rb'"cloudflare_error"\s{0,9}:\s{0,9}true')
_EDGE_TEXT = re.compile(rb"\s*error code: 1[0-9]{3}\b")


def is_web_page(body: bytes) -> bool:
    """Whether ``body`` is HTML, whatever its label says."""
    return _BEGINS.match(body[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n")) is not None


def web_page_words(body: bytes) -> str:
    """Return a web page in words for people: that it is one, and its title; empty for anything else."""
    if not is_web_page(body):
        return ""
    found = _TITLE.search(body[:_LOOKED_AT])
    title = _TAG.sub(" ", html.unescape(found[2].decode("utf-8", "replace"))) if found else ""
    title = " ".join(title.split())[:_MAX_TITLE_CHARS]
    return f'a web page with the title "{title}"' if title else "a web page without a title"


def is_of_the_edge(body: bytes) -> bool:
    """Whether a 403 comes from the edge before the vendor (VENDORS §2).

    It is a web page or a bare ``error code: 1010``, where the vendor itself would have sent JSON, or JSON
    that says so.
    """
    return is_web_page(body) or _EDGE_TEXT.match(body) is not None or _EDGE_JSON.search(body) is not None
