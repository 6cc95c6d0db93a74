"""Moments inside the server that a test waits for, holds up or lets fail, without reaching into its parts.

Each is a ``Signal`` beside the code that gives it. It costs a look at an empty tuple while nobody listens,
and in a server nobody does. Where a process must die instead, there are ``failpoints``.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Signal:
    """One kind of moment. Called where it comes, with what is known there."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[..., None], ...] = ()

    def __call__(self, *facts: Any) -> None:
        """Let every listener run, here and now, in this thread; what one raises is raised here."""
        for listener in self._listeners:
            listener(*facts)

    @contextmanager
    def heard_by(self, listener: Callable[..., None]) -> Iterator[None]:
        """Let ``listener`` hear it until the block ends."""
        self._listeners = (*self._listeners, listener)
        try:
            yield
        finally:
            self._listeners = tuple(each for each in self._listeners if each is not listener)
