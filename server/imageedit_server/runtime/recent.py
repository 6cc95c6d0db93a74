"""What was made or asked for lately, within bounds: so that what many ask for is made once."""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _one(_value: object) -> int:
    return 1


class Recent(Generic[K, V]):
    """Values by key, of ``most`` together; ``size`` says how much of that one takes. None is no value.

    There are two generations: when the younger has half of what there may be, the older one is forgotten.
    May be used by several threads; a value may then be forgotten early.
    """

    __slots__ = ("_half", "_newer", "_older", "_room", "_size")

    def __init__(self, most: int, size: Callable[[V], int] = _one) -> None:
        self._half = self._room = most // 2
        self._size = size
        self._newer: dict[K, V] = {}
        self._older: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return the value, None where there is none any more."""
        value = self._newer.get(key)
        if value is None and (value := self._older.get(key)) is not None:
            self.put(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value for a while."""
        size = self._size(value)
        if self._room < size:
            self._older, self._newer, self._room = self._newer, {}, self._half
        self._room -= size
        self._newer[key] = value
