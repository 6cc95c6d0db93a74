"""What is kept of a paid call for whoever reads its answer: no secret, of the token only its hash."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from imageedit_server.outbound.redaction import REDACTED

TOKEN_SHA256 = "callback_token_sha256"

_TOKENS = re.compile(r"[\w\-]{20,}", re.ASCII)


def brief_of(callback_url: str) -> dict[str, Any]:
    """Return the brief of a call that names this callback URL, whose last step is the token."""
    token = callback_url.rpartition("/")[2]
    return {TOKEN_SHA256: _digest(token)} if token else {}


def without_token(text: str, brief: Mapping[str, Any]) -> str:
    """Take the callback's token out of ``text``."""
    known = brief.get(TOKEN_SHA256)
    return _TOKENS.sub(lambda found: REDACTED if _digest(found[0]) == known else found[0], text)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
