"""What the vendor was asked for, as its answer is held against it: the brief of a paid call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imageedit_server.providers.openai.rules import MAX_N

COMPARED = ("size", "quality", "background", "output_format")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """How many pictures, which ``words`` by field name, and how many partial pictures on the way.

    ``base_url`` is where it was asked for, to which a URL without a host belongs.
    """

    n: int = 1
    words: Mapping[str, str] = field(default_factory=dict)
    previews: int = 0
    base_url: str = ""


def brief_of(ask: Ask) -> dict[str, Any]:
    """Write an ask as JSON."""
    return {"n": ask.n, "words": dict(ask.words), "previews": ask.previews, "base_url": ask.base_url}


def ask_of(brief: Mapping[str, Any]) -> Ask:
    """Read what any version wrote: what is not there, or not what it should be, has its default."""
    n, words, previews, base_url = (brief.get(name) for name in ("n", "words", "previews", "base_url"))
    return Ask(
        n=n if isinstance(n, int) and 1 <= n <= MAX_N else 1,
        words=_texts(words) if isinstance(words, dict) else {},
        previews=previews if isinstance(previews, int) and previews > 0 else 0,
        base_url=base_url if isinstance(base_url, str) else "",
    )


def _texts(words: Mapping[Any, Any]) -> dict[str, str]:
    return {name: word for name, word in words.items() if isinstance(name, str) and isinstance(word, str)}
