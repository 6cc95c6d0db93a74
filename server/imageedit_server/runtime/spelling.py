"""Names that were probably meant, for whoever mistyped one."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_CHARS = 128
"""Comparing takes the time of both lengths multiplied, and names come from strangers too."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question to put behind the word: `` (did you mean local/basic?)``; empty if none is near."""
    near = get_close_matches(word, list(known), n=1) if len(word) <= MAX_CHARS else []
    return f" (did you mean {near[0]}?)" if near else ""
