"""Who calls, whether they may, and which streams end when a key is taken away. Knows no transport.

The credential is read anew for each call and never from a message. The tenant of the call that runs is
``current_tenant()``, and there is none where no credential was looked at, so nothing is served by accident.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from imageedit_server.access.keys import Caller, Keys, sha256_of
from imageedit_server.access.rates import RequestRates
from imageedit_server.access.reload import Reloaded
from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.telemetry.logs import Seldom

DEFAULT_TENANT = "default"
"""The tenant of every caller where callers are not told apart."""
HEADER = "authorization"
SCHEME = "bearer"

_log = logging.getLogger(__name__)
_CALLER: ContextVar[Caller] = ContextVar("caller")


def current_tenant() -> str:
    """Return whose call is running. Raises ``LookupError`` where none is."""
    return _CALLER.get().tenant


class Callers:
    """Tells callers apart. ``keys`` is None where they are not asked for one."""

    def __init__(self, keys: Reloaded[Keys] | None, rates: RequestRates) -> None:
        self._keys = keys
        self._rates = rates
        self._open: defaultdict[Caller, set[asyncio.Timeout]] = defaultdict(set)
        self._refused = Seldom(_log)

    def admit(self, credentials: Sequence[str | bytes]) -> Caller:
        """Let a call in, which from here on is that of ``current_tenant()``; return who calls.

        ``credentials`` are the values of its header ``authorization``. Raises CREDENTIALS_MISSING,
        CREDENTIALS_INVALID, QUOTA_EXCEEDED.
        """
        caller = self._identified(credentials)
        self._rates.spend(caller.tenant)
        _CALLER.set(caller)
        return caller

    @property
    def open_streams(self) -> int:
        """How many streams would end if every key were taken away."""
        return sum(map(len, self._open.values()))

    @contextmanager
    def while_valid(self, caller: Caller, scope: asyncio.Timeout) -> Iterator[None]:
        """End ``scope`` as soon as the caller's key is not valid any more, for as long as the block runs."""
        self._open[caller].add(scope)
        try:
            if not self._is_valid(caller):  # it was taken away before the first message came
                _end_now(scope)
            yield
        finally:
            if caller in self._open:
                self._open[caller].discard(scope)
                if not self._open[caller]:
                    del self._open[caller]

    def cut_off(self) -> None:
        """End the open streams of every key that is not valid any more, after the keys were read again."""
        for caller in [caller for caller in self._open if not self._is_valid(caller)]:
            scopes = self._open.pop(caller)
            _log.warning("revoked: %s; its %d open streams end", caller, len(scopes))
            for scope in scopes:
                _end_now(scope)

    def _identified(self, credentials: Sequence[str | bytes]) -> Caller:
        if self._keys is None:
            return Caller(DEFAULT_TENANT)
        if not credentials:
            raise Refusal(Reason.CREDENTIALS_MISSING, "Send authorization: Bearer <API key>.")
        first = credentials[0]
        scheme, _, key = first.partition(" ") if isinstance(first, str) else ("", "", "")
        key_sha256 = sha256_of(key.strip())
        caller = self._keys.value.get(key_sha256)
        if caller is None or scheme.lower() != SCHEME or len(credentials) > 1:
            self._refused.info("a call was refused: no tenant has key %s", key_sha256[:8])
            raise Refusal(Reason.CREDENTIALS_INVALID, "The API key is not valid.")
        return caller

    def _is_valid(self, caller: Caller) -> bool:
        return self._keys is None or self._keys.value.get(caller.key_sha256) == caller


def key_revoked() -> Refusal:
    """End a stream whose key was taken away."""
    return Refusal(Reason.CREDENTIALS_INVALID, "The API key is not valid any more.")


def _end_now(scope: asyncio.Timeout) -> None:
    scope.reschedule(asyncio.get_running_loop().time())
