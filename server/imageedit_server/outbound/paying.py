"""A paid call on its way: what comes is kept as it comes, and nothing of it is understood here (P31).

Each piece goes to the place first, then to memory, then to the onlooker, who is a task of its own: neither
what cannot be written nor what cannot be shown ends the call or delays it.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from io import BytesIO
from typing import ParamSpec

import httpx

from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended, Onlooker, PaidCall, Place
from imageedit_server.outbound.errors import Broken, Late
from imageedit_server.outbound.limits import Limit
from imageedit_server.outbound.replies import next_piece, raw_pieces
from imageedit_server.runtime.clock import Clock

ONLOOKER_SECONDS = 2.0
"""How long an onlooker may go on showing what it has when everything has come."""

P = ParamSpec("P")

Respond = Callable[[Limit], Awaitable[httpx.Response]]
"""Sends the request and returns the head of its reply. Raises ``NotSent`` and ``Broken``."""

_STOPPED = "The server stopped while the reply came."

_log = logging.getLogger(__name__)


async def take_answer(respond: Respond, call: PaidCall, place: Place | None, clock: Clock) -> Answer:
    """Make the call and return what came. Raises ``NotSent``, of which the place hears nothing."""
    limit, taking = Limit(call.limit_seconds), _Taking(call, place, clock)
    try:
        response = await respond(limit)
        try:
            ended, note = await taking.follow(response, limit)
        finally:
            await response.aclose()
    except Broken as error:
        ended, note = _end_by(error)
    except asyncio.CancelledError:
        await taking.end(Ended.CUT, _STOPPED, patience_seconds=0)
        raise
    return await taking.end(ended, note, patience_seconds=ONLOOKER_SECONDS)


def _end_by(error: Broken) -> tuple[Ended, str]:
    return (Ended.LATE if isinstance(error, Late) else Ended.CUT), str(error)


class _Taking:
    """What has come of one answer."""

    def __init__(self, call: PaidCall, place: Place | None, clock: Clock) -> None:
        self._call = call
        self._place = place
        self._clock = clock
        self._call_time = clock.now()
        self._status = NO_HEAD
        self._headers: Mapping[str, str] = {}
        self._body = BytesIO()  # whose value is no second copy
        self._room = call.max_body_bytes
        self._onlooking: _Onlooking | None = None

    async def follow(self, response: httpx.Response, limit: Limit) -> tuple[Ended, str]:
        """Take the head and what follows it; return how it ended."""
        self._status, self._headers = response.status_code, dict(response.headers)
        if self._place is not None:
            _tell(self._place.head, self._status, self._headers)
        if self._call.onlooker is not None:
            self._onlooking = _Onlooking(self._call.onlooker, self._status, self._headers, limit)
        try:
            return await self._read(response, limit)
        except Late:
            if self._onlooking is not None and self._onlooking.has_enough:
                return Ended.WHOLE, ""
            raise

    async def _read(self, response: httpx.Response, limit: Limit) -> tuple[Ended, str]:
        async with aclosing(raw_pieces(response)) as raw:
            while piece := await next_piece(raw, limit):
                if len(piece) > self._room:
                    self._keep(piece[: self._room])
                    return Ended.TOO_LONG, f"The reply has more than {self._call.max_body_bytes} bytes."
                self._keep(piece)
        return Ended.WHOLE, ""

    def _keep(self, piece: bytes) -> None:
        if self._place is not None:
            _tell(self._place.piece, piece)
        self._body.write(piece)
        self._room -= len(piece)
        if self._onlooking is not None:
            self._onlooking.show(piece)

    async def end(self, ended: Ended, note: str, *, patience_seconds: float) -> Answer:
        """Return the answer."""
        answer_time = self._clock.now()
        if self._place is not None:
            _tell(self._place.end, ended, note)
        if self._onlooking is not None:
            await self._onlooking.leave(patience_seconds)
        return Answer(
            status=self._status,
            headers=self._headers,
            body=self._body.getvalue(),
            ended=ended,
            note=note,
            brief=self._call.brief,
            call_time=self._call_time,
            answer_time=answer_time,
        )


class _Onlooking:
    """The onlooker's task, and the pieces that wait for it."""

    def __init__(self, onlooker: Onlooker, status: int, headers: Mapping[str, str], limit: Limit) -> None:
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._limit = limit
        self.has_enough = False
        self._task = asyncio.create_task(self._look(onlooker, status, headers))

    def show(self, piece: bytes) -> None:
        """Give it the next bytes, when it finds the time."""
        self._waiting.put_nowait(piece)

    async def leave(self, patience_seconds: float) -> None:
        """Tell it that nothing more comes, and send it away when its time is over."""
        self._waiting.put_nowait(b"")
        await asyncio.wait([self._task], timeout=patience_seconds)
        self._task.cancel()

    async def _look(self, onlooker: Onlooker, status: int, headers: Mapping[str, str]) -> None:
        try:
            self.has_enough = await onlooker(status, headers, self._pieces())
        except Exception:  # noqa: BLE001  whatever it is, the paid call goes on
            _log.warning("an answer could not be looked at while it came", exc_info=True)
        if self.has_enough:
            self._limit.end_now()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._waiting.get():
            yield piece


def _tell(listener: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        listener(*args, **kwargs)
    except Exception:  # noqa: BLE001  a place that fails must not cost the answer, which memory holds too
        _log.warning("an answer could not be written while it came", exc_info=True)
