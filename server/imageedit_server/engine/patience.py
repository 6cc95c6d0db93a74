"""Writing what must not be lost while the store refuses it, as it does while the disk is full (F19)."""

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from imageedit_server.core.errors import Refusal
from imageedit_server.engine.recorder import FULL_RETRY_SECONDS
from imageedit_server.engine.tools import Tools

T = TypeVar("T")

_log = logging.getLogger(__name__)


async def in_the_end(write: Callable[[datetime], Awaitable[T]], tools: Tools) -> T:
    """Return what ``write`` returns, which is given the time, and once more so after each refusal."""
    while True:
        try:
            return await write(tools.clock.now())
        except Refusal as refusal:
            _log.warning("what must be stored cannot be yet: %s", refusal)
        await tools.clock.sleep(FULL_RETRY_SECONDS)
