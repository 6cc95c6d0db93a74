"""Foreign text made fit to be shown and stored: no secrets, no signed URLs, no controls (P26, F90)."""

import re
from collections.abc import Iterable
from urllib.parse import quote

MAX_CHARS = 500
REDACTED = "[redacted]"

_LOOKED_AT = 4096
_SHORTEST_SECRET = 4

# Each pattern begins only where a run of its characters begins: no text makes them slow.
_URL = re.compile(
    r"""((?:(?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]*:)?)//"""  # scheme
    r"""(?:[^\s"'<>`/?#]*@)?"""  # userinfo, dropped
    r"""([^\s"'<>`?#]*)"""  # host and path
    r"""(?:[?#][^\s"'<>`]*)?""",  # query and fragment, dropped
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\b(bearer\s+[\w.~+/=*\-]{8,}|basic\s+[\w.~+/=*\-]{16,})", re.IGNORECASE)
_NAMED = re.compile(
    r"""(?<![\w\-])([\w\-]*(?:signature|sig|token|api[_\-]?key|secret|password|credential|authorization))"""
    r"""(["']?\s?[=:]\s?["']?)(?:bearer\s+|basic\s+)?[^\s"'&,;<>]+""",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?<![\w\-])(?:sk|pk|rk|gh[a-z]|xox[a-z])[\-_][\w*.\-]{6,}"  # as vendors begin their keys
    r"|(?<![\w\-])(?:AKIA|AIza|eyJ)[\w*.\-]{8,}"
    r"|(?<![\w\-])(?=[\w\-]*\d)[\w\-]{32,}"  # too long for a word
    r"|(?<![\w+/])(?=[\w+/]*\d)[\w+/]{40,}={0,2}"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return at most ``MAX_CHARS`` printable characters of ``text`` on one line.

    ``secrets``, whatever looks like a key or a bearer token, and the userinfo and query of every URL are
    taken out. What is long and opaque counts as a key: better an id too few than a key too many.
    """
    line = _one_line(text.replace("\\/", "/"))  # as some JSON writes its slashes
    for secret in sorted(filter(_is_secret, secrets), key=len, reverse=True):
        for form in {secret, quote(secret, safe=""), _one_line(secret)}:
            line = line.replace(form, REDACTED)
    line = _URL.sub(_bare_url, line)
    line = _TOKEN.sub(REDACTED, line)
    line = _NAMED.sub(rf"\1\2{REDACTED}", line)
    line = _KEY.sub(REDACTED, line)
    return line if len(line) <= MAX_CHARS else f"{line[: MAX_CHARS - 1]}…"


def _is_secret(secret: str) -> bool:
    return len(secret) >= _SHORTEST_SECRET


def _one_line(text: str) -> str:
    """Keep the printable: no line ends, controls, bidirectional overrides or surrogates."""
    if len(text) > _LOOKED_AT:  # cut where no secret can be halved
        text = text[:_LOOKED_AT].rpartition(" ")[0]
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _bare_url(match: re.Match[str]) -> str:
    scheme, place = match.groups()
    return f"{scheme}//{place}"
