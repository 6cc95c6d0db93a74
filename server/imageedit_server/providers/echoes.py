"""Members of a vendor's answer that show another picture than the one that was made."""

import re

_NAMES = re.compile(
    "input|mask|init|source|reference|thumb|preview|logo|icon|avatar|error|prompt|doc|request|original"
    "|param|callback",
    re.IGNORECASE,
)


def is_echo(name: str) -> bool:
    """Whether a member of this name holds what was sent, or what stands around a result."""
    return _NAMES.search(name) is not None
