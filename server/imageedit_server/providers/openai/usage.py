"""What a vendor says that a call has used: tokens, and a price where it tells one (VENDORS §3.2, §8)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

TICKS_PER_USD = 10**10
"""xAI tells its price in ticks."""
_MOST = 10**15
"""What is larger is no figure but a mistake."""


def usage_of(value: Any) -> dict[str, str]:
    """Return the ``usage`` of an answer's JSON in the words of ``Attempt``; empty where it has none."""
    usage = value.get("usage") if isinstance(value, dict) else None
    if not isinstance(usage, dict):
        return {}
    ticks = _figure(usage, "cost_in_usd_ticks")
    cost = _figure(usage, "cost") if ticks is None else ticks / TICKS_PER_USD
    figures = {"total_tokens": _figure(usage, "total_tokens"), "cost_usd": cost}
    return {name: _plain(figure) for name, figure in figures.items() if figure is not None}


def _figure(usage: Mapping[str, Any], name: str) -> Decimal | None:
    found = usage.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < _MOST:
        return None
    return Decimal(str(found))


def _plain(figure: Decimal) -> str:
    text = format(figure, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
