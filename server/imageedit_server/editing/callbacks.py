"""Callbacks of vendors: hints to poll now, and the way to an id that a crash made us forget (DESIGN §4)."""

import hashlib
import logging
from collections.abc import Mapping

from imageedit_server.providers.base import CallbackRefused
from imageedit_server.providers.catalog import Catalog
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.attempts import VendorTaskTaken, call_back
from imageedit_server.store.database import Database

_log = logging.getLogger(__name__)


class Callbacks:
    """Receives what vendors send to ``/callbacks/{provider}/{attempt_token}``."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock

    async def receive(self, provider: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Note a callback in one durable write. Raises ``CallbackRefused``.

        State and results are never taken from it: they come from the authenticated poll that it causes. What
        is duplicate, late or out of order therefore changes nothing (P16).
        """
        known = self._catalog.providers.get(provider)
        if known is None:
            raise CallbackRefused(forged=True)
        callback = known.adapter.read_callback(headers, body)
        token_sha256 = hashlib.sha256(token.encode()).hexdigest()
        try:
            found = await self._database.write(
                call_back, provider, token_sha256, callback.vendor_task_id, self._clock.now()
            )
        except VendorTaskTaken:
            _log.warning("%s called back with the id of another attempt's work", provider)
            return
        if not found:
            raise CallbackRefused(forged=True)
