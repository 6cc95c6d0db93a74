"""Writing to a stream whose reader may have stopped reading (P13)."""

import asyncio
from typing import Any

import grpc
from google.protobuf.message import Message

from imageedit_server.core.errors import Reason, Refusal

SLOW_CONSUMER_SECONDS = 60.0


class PatientStream:
    """Writes messages, each for at most ``SLOW_CONSUMER_SECONDS``. Use as a context manager, in one task.

    There is one timer for the whole stream: one for each message would cost as much as the message. The
    metadata that begins it goes ahead of the first message: together with one that nobody reads it would not
    count as sent, and the library could not end the call.
    """

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._writing_since: float | None = None
        self._is_slow = False
        self._begun = False

    def __enter__(self) -> "PatientStream":
        self._task = asyncio.current_task()
        self._timer = self._loop.call_later(SLOW_CONSUMER_SECONDS, self._look)
        return self

    def __exit__(self, *_error: object) -> None:
        self._timer.cancel()

    async def write(self, message: Message | bytes) -> None:
        """Send ``message``. Raises SLOW_CONSUMER when nobody reads it."""
        self._writing_since = self._loop.time()
        try:
            if not self._begun:
                await self._context.send_initial_metadata(())
                self._begun = True
            await self._context.write(message)
        except asyncio.CancelledError:
            if self._is_slow and self._task and not self._task.uncancel():
                raise Refusal(
                    Reason.SLOW_CONSUMER, "This stream was not read for a minute; resume it."
                ) from None
            raise
        finally:
            self._writing_since = None

    def _look(self) -> None:
        now = self._loop.time()
        since = now if self._writing_since is None else self._writing_since
        self._is_slow = now - since >= SLOW_CONSUMER_SECONDS
        if not self._is_slow:
            self._timer = self._loop.call_at(since + SLOW_CONSUMER_SECONDS, self._look)
        elif self._task:
            self._task.cancel()
