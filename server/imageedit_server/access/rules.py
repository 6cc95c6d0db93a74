"""What a caller must show. Each door has a table with a row for each method or route that it serves (P23).

The tables are ``rpc/rules.py`` and ``web/rules.py``. A door with something that has no row does not start.
"""

from collections.abc import Iterable, Mapping
from enum import Enum, auto


class Rule(Enum):
    """What a caller must show."""

    ANYONE = auto()
    """Nothing: what is asked says nothing about anyone."""
    TENANT = auto()
    """To be a tenant. What it then reaches is its own: every use case takes the tenant (P22)."""
    TOKEN = auto()
    """The token in the path, which nobody was told but the vendor: it has no key of ours (P16)."""


def require_rules(served: Iterable[str], rules: Mapping[str, Rule], table: str) -> None:
    """Do not even start with something that nobody made a rule for; ``table`` is where it belongs (P23).

    Raises ``AssertionError``: only whoever adds a method or a route can cause it.
    """
    if without := sorted(set(served) - set(rules)):
        raise AssertionError(f"{', '.join(without)}: who may call this? See {table}")
