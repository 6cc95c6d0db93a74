"""Which images are in hand: their bytes are stored, and the row that speaks of them is still to come.

Whoever erases looks at the rows, so it must leave alone what somebody is about to write a row for. Whoever
stores images does so within ``holding``, and ends that when the rows are durable.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

FORGOTTEN_SECONDS = 3600.0
"""How long what was stored outside of ``holding`` counts as in hand: as long as the sweep lets it be."""


@dataclass(slots=True, eq=False)
class Held:
    """What somebody has in hand, and whether that is over."""

    image_ids: list[str] = field(default_factory=list)
    over: bool = False


_HELD: ContextVar[Held | None] = ContextVar("held", default=None)


class InHand:
    """Counts, for one process, who has which image in hand. Lives on the loop."""

    def __init__(self) -> None:
        self._holders: Counter[str] = Counter()
        self._looking: list[set[str]] = []

    @contextmanager
    def holding(self) -> Iterator[Held]:
        """Have in hand until the block ends what is stored within it, also by tasks that it starts."""
        held = Held()
        before = _HELD.set(held)
        try:
            yield held
        finally:
            _HELD.reset(before)
            held.over = True
            for image_id in held.image_ids:
                self._let_go(image_id)

    def take(self, image_id: str) -> None:
        """Have an image in hand: its bytes are about to be stored."""
        self._holders[image_id] += 1
        for taken in self._looking:
            taken.add(image_id)
        held = _HELD.get()
        if held is None or held.over:
            asyncio.get_running_loop().call_later(FORGOTTEN_SECONDS, self._let_go, image_id)
        else:
            held.image_ids.append(image_id)

    @contextmanager
    def looking(self) -> Iterator[Callable[[str], bool]]:
        """Lend what says of an image whether anybody had it in hand since the block began; in any thread."""
        taken = set(self._holders)
        self._looking.append(taken)
        try:
            yield taken.__contains__
        finally:
            self._looking.remove(taken)

    def _let_go(self, image_id: str) -> None:
        self._holders[image_id] -= 1
        if not self._holders[image_id]:
            del self._holders[image_id]
