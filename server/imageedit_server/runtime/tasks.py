"""Tasks that run as long as the process does: what the end of one means, and how they are ended."""

import asyncio
import logging
from typing import Any

_log = logging.getLogger(__name__)


def settle(future: asyncio.Future[BaseException], error: BaseException) -> None:
    """Set a future to ``error`` unless something set it before: the first trouble is what is told."""
    if not future.done():
        future.set_result(error)


def settle_when_one_ends(future: asyncio.Future[BaseException], *services: asyncio.Task[None]) -> None:
    """Set ``future`` when one of the services ends, which none does by itself."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            settle(future, task.exception() or RuntimeError(f"{task.get_name()} ended"))

    for service in services:
        service.add_done_callback(ended)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; what it broke off with is logged."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()):
        _log.error("%s broke off", task.get_name(), exc_info=error)
