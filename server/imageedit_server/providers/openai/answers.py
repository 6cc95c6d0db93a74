"""What the vendor answered to the one paid call: pictures, an error, or something that proves nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.client import MIB, BadBody, OutboundError, StreamReply, read_json
from imageedit_server.providers.base import Ambiguous, Finished, Output, Report, SubmitError
from imageedit_server.providers.openai.calls import PaidCall
from imageedit_server.providers.openai.refusals import (
    Judge,
    VendorError,
    error_of,
    error_of_body,
    read_error,
    request_id_of,
)
from imageedit_server.providers.openai.results import (
    MAX_BASE64_CHARS,
    NoPicture,
    differences,
    read_picture,
    read_result,
)
from imageedit_server.providers.openai.streaming import (
    COMPLETED,
    ERROR,
    PARTIAL,
    BadStream,
    read_events,
)
from imageedit_server.providers.outcomes import ambiguous
from imageedit_server.runtime.threads import work_on

MAX_REPLY_BYTES = 256 * MIB

_log = logging.getLogger(__name__)


def reply_bytes(call: PaidCall) -> int:
    """Return how long the answer to ``call`` may be."""
    return min((call.ask.n + call.previews) * MAX_BASE64_CHARS + MIB, MAX_REPLY_BYTES)


async def read_answer(reply: StreamReply, call: PaidCall, report: Report, judge: Judge) -> Finished:
    """Return the result. Raises ``SubmitError``, and ``Broken`` when the reply breaks off."""
    if not 200 <= reply.status < 300:
        raise judge.verdict(reply.status, error_of_body(await _read_some(reply)), reply.headers)
    if call.previews and not _is_json(reply):
        return await _follow(reply, call, report, judge)
    return await _whole(reply, call, judge)


def _is_json(reply: StreamReply) -> bool:
    """Whether the vendor answers whole, though it was asked to stream."""
    return "json" in reply.headers.get("content-type", "").lower()


async def _whole(reply: StreamReply, call: PaidCall, judge: Judge) -> Finished:
    body = await reply.read()
    try:
        value = await work_on(len(body), read_json, body)
    except BadBody as error:
        raise ambiguous(f"The provider answered with success, but not readably. {error}") from error
    if found := read_error(value):
        raise judge.verdict(reply.status, found, reply.headers)
    try:
        return await work_on(len(body), read_result, value, call.ask, request_id_of(reply.headers))
    except NoPicture:
        raise ambiguous("The provider answered with success, but sent no picture.") from None


async def _read_some(reply: StreamReply) -> bytes:
    """Read as much of an error as says what it is about. One that breaks off still has its status."""
    body = bytearray()
    try:
        async for chunk in reply.aiter_bytes():
            body += chunk
            if len(body) > MIB:
                break
    except OutboundError:
        _log.info("an error reply broke off")
    return bytes(body)


# Streams


async def _follow(reply: StreamReply, call: PaidCall, report: Report, judge: Judge) -> Finished:
    """Show the partial pictures as they come, and end with the one that was paid for."""
    shown = 0
    lines = aclosing(cast(AsyncGenerator[str, None], reply.aiter_lines()))
    try:
        async with lines as source, aclosing(read_events(source)) as events:
            async for kind, event in events:
                if kind == COMPLETED:
                    return await _completed(reply, event, call)
                if kind == ERROR:
                    raise _broken_off(judge, reply, error_of(event), begun=shown > 0)
                if kind == PARTIAL and shown < call.previews:
                    shown += 1
                    await _show(event, report)
    except BadStream:
        raise ambiguous("The provider's stream of events cannot be read.") from None
    raise ambiguous("The provider's stream of events ended without the picture.")


async def _completed(reply: StreamReply, event: dict[str, Any], call: PaidCall) -> Finished:
    """Take the picture that is paid for, whatever the stream would still say."""
    output = await asyncio.to_thread(read_picture, event)
    unreadable = () if output else ("The picture that the provider sent cannot be read.",)
    return Finished(
        outputs=(output,) if output else (),
        warnings=(*unreadable, *differences(event, call.ask)),
        vendor_request_id=request_id_of(reply.headers),
    )


def _broken_off(judge: Judge, reply: StreamReply, error: VendorError, *, begun: bool) -> SubmitError:
    """Once there was a partial picture, no error proves any more that nothing is charged."""
    verdict = judge.verdict(reply.status, error, reply.headers)
    if not begun:
        return verdict
    message = f"The provider broke off after it had begun. {verdict}"
    reason = FailureReason.SUBMIT_OUTCOME_UNKNOWN
    return Ambiguous(replace(verdict.failure, reason=reason, message=message))


async def _show(event: dict[str, Any], report: Report) -> None:
    """Pass a partial picture on. That it cannot be shown must not cost the picture that is paid for."""
    preview: Output | None = await asyncio.to_thread(read_picture, event)
    if preview is None or not preview.content:
        return
    try:
        await report(preview=preview.content)
    except Exception:  # noqa: BLE001  whatever it is, the paid call goes on
        _log.warning("a partial picture could not be shown", exc_info=True)
