"""Bugs for a server process to have: the fuzzing must find each before its silence counts.

``plant`` changes the process that it runs in, which is a fork that serves and dies.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from imageedit_server.access.callers import Callers
from imageedit_server.access.keys import Caller
from imageedit_server.core.errors import Refusal
from imageedit_server.rpc import border, grpcio_patch
from tests.rpc.callers import ALICE

_log = logging.getLogger("imageedit_server.rpc")


def _metadata_that_nobody_counts() -> None:
    grpcio_patch._is_dropped = lambda state: False


def _refused_keys_in_the_log() -> None:
    admit = Callers.admit

    def told(self: Callers, credentials: Sequence[str | bytes]) -> Caller:
        try:
            return admit(self, credentials)
        except Refusal:
            _log.info("refused %r", credentials)
            raise

    Callers.admit = told  # type: ignore[method-assign]


def _messages_that_always_parse() -> None:
    border._tolerant = lambda deserialize: deserialize


def _strangers_let_in() -> None:
    admit = Callers.admit

    def whoever(self: Callers, credentials: Sequence[str | bytes]) -> Caller:
        return admit(self, credentials or [f"Bearer {ALICE}"])

    Callers.admit = whoever  # type: ignore[method-assign]


BUGS: Mapping[str, Callable[[], None]] = {
    plant.__name__.strip("_"): plant
    for plant in (
        _metadata_that_nobody_counts,
        _refused_keys_in_the_log,
        _messages_that_always_parse,
        _strangers_let_in,
    )
}


def plant(name: str) -> None:
    """Plant the bug of this name; none for an empty one."""
    if name:
        BUGS[name]()
