"""What the vendor answered to the one paid call: pictures, an error, or something that proves nothing.

Pure, and the same for an answer that comes now and for one that was kept: a picture is looked for first,
whatever the answer is labelled as and whatever was asked for (P31).
"""

import codecs
import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

from imageedit_server.core.charge import Billing, worst
from imageedit_server.core.errors import FailureReason
from imageedit_server.outbound.answers import NO_HEAD, Answer, Ended
from imageedit_server.outbound.client import MIB, BadBody, read_json
from imageedit_server.outbound.inflating import content_of
from imageedit_server.providers.base import Ambiguous, Finished, Output, Refused, SubmitError
from imageedit_server.providers.openai.asks import Ask, ask_of
from imageedit_server.providers.openai.decoding import MAX_BASE64_CHARS, ends_as_picture, is_picture
from imageedit_server.providers.openai.error_bodies import error_of, errors_in
from imageedit_server.providers.openai.finding import entries_of, read_picture
from imageedit_server.providers.openai.refusals import Judge, request_id_of
from imageedit_server.providers.openai.results import NoPicture, finished, read_result
from imageedit_server.providers.openai.streams import Stream, stream_of
from imageedit_server.providers.outcomes import ambiguous, lost
from imageedit_server.providers.web_pages import web_page_words

MAX_REPLY_BYTES = 256 * MIB

_HEAD_BYTES = 1024
_PADDING = b" \t\r\n\0"
_OPENING, _CLOSING = (b"{", b"["), (b"}", b"]")
_JSON_LINE = re.compile(rb"^[ \t\0]*+[\[{]", re.MULTILINE)
_JSON_OPENS = re.compile(rb"[\[{]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def reply_bytes(ask: Ask) -> int:
    """Return how long the answer to a call may be."""
    return min((ask.n + ask.previews) * MAX_BASE64_CHARS + MIB, MAX_REPLY_BYTES)


def read_answer(answer: Answer, judge: Judge) -> Finished:
    """Return the result. Raises ``SubmitError``."""
    if answer.status == NO_HEAD:
        raise lost(answer)
    ask = ask_of(answer.brief)
    content = content_of(answer, reply_bytes(ask))
    if not 200 <= answer.status < 300:
        raise judge.of_answer(answer, content[:MIB])
    return _Success(answer, ask, judge).read(content)


def json_in(content: bytes) -> Any:
    """Return the JSON value of ``content``, also between other lines. Raises ``BadBody``."""
    error = BadBody("It has no end.")
    if content[:1] not in _OPENING or content[-1:] in _CLOSING:  # else a long one would be decoded in vain
        try:
            return read_json(content)
        except BadBody as bad:
            error = bad
    found = _JSON_LINE.search(content)
    end = _end_of_json(content)
    is_web_page = content.startswith(b"<")
    if found is None or end <= found.start() or is_web_page or (found.start(), end) == (0, len(content)):
        raise error
    return read_json(content[found.start() : end].lstrip(_PADDING))


def _json_within(content: bytes) -> Any:
    """Return the JSON that stands somewhere, sound or not: ``callback({...});``, a notice before it.

    None where there is none. A web page's own data does not count: it does not stand at the end.
    """
    end = _end_of_json(content)
    if content.startswith(b"<") and end < len(content):
        return None
    starts = {found.start() for each in (_JSON_LINE, _JSON_OPENS) if (found := each.search(content, 0, end))}
    for start in sorted(starts, reverse=True):
        with suppress(BadBody):
            return read_json(content[start:end].lstrip(_PADDING), liberal=True)
    return None


def _end_of_json(content: bytes) -> int:
    return max(map(content.rfind, _CLOSING)) + 1


def _plain(content: bytes) -> bytes:
    """Return text in UTF-8 without what stands around it; of UTF-16, every other byte is NUL."""
    odd_nuls, even_nuls = content[1:4:2] == b"\0\0", content[:4:2] == b"\0\0"
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or odd_nuls != even_nuls:
        content = content.decode(json.detect_encoding(content), "replace").encode()
    return content.strip(_PADDING).removeprefix(_BYTE_ORDER_MARK).lstrip(_PADDING)


class _Success:
    """An answer with a status of success, whose content decides what it is."""

    def __init__(self, answer: Answer, ask: Ask, judge: Judge) -> None:
        self._answer = answer
        self._ask = ask
        self._judge = judge
        self._request_id = request_id_of(answer.headers)

    def read(self, content: bytes) -> Finished:
        if is_picture(content):
            return self._bare(Output(content=content), is_all=ends_as_picture(content))
        text = _plain(content)
        if is_picture(text):
            return self._bare(Output(content=text), is_all=ends_as_picture(text))
        try:
            value = json_in(text)
        except BadBody as error:
            return self._read_text(text, error)
        return self._read_value(value)

    def _bare(self, output: Output, *, is_all: bool) -> Finished:
        """The picture itself, with nothing around it."""
        if not is_all and self._answer.ended is not Ended.WHOLE:
            raise lost(self._answer)
        return finished([output], self._ask, self._request_id, given=1, value=None)

    def _read_bare(self, text: str) -> Finished:
        """Read the text of a picture with nothing around it: its Base64, or where it is."""
        output = read_picture(text)
        if output is None:
            raise ambiguous("The provider answered with success, but not readably.", vendor_trouble=False)
        return self._bare(output, is_all=ends_as_picture(output.content))

    def _read_value(self, value: Any) -> Finished:
        errors = [self._judge.of_value(self._answer, value, error) for error in errors_in(value)]
        try:
            result = read_result(value, self._ask, self._request_id, is_error=bool(errors))
        except NoPicture:
            if errors:
                raise errors[0] from None
            raise self._without_picture(value) from None
        if errors and not result.outputs:
            raise errors[0]
        return replace(result, warnings=(*result.warnings, *map(_beside, errors)))

    def _read_text(self, content: bytes, error: BadBody) -> Finished:
        if content[:1] not in _OPENING and entries_of(content[:_HEAD_BYTES].decode("ascii", "replace")):
            return self._read_bare(content.decode("ascii", "replace"))
        stream = stream_of(content)
        if stream.events:
            return self._read_stream(stream)
        if (value := _json_within(content)) is not None:
            return self._read_value(value)
        if self._answer.ended is not Ended.WHOLE:
            raise lost(self._answer)
        if page := web_page_words(content):
            message = f"The provider answered with {page}; base_url or path may be wrong."
            raise ambiguous(message, provider_message=page, vendor_trouble=False)
        message = f"The provider answered with success, but not readably. {error}"
        raise ambiguous(message, vendor_trouble=False) from error

    def _read_stream(self, stream: Stream) -> Finished:
        """Take what was paid for, whatever else the stream says."""
        outputs = stream.outputs
        if not outputs:
            self._check_meant(stream)
        result = finished(outputs, self._ask, self._request_id, given=max(len(outputs), 1), value=stream.last)
        return replace(result, warnings=(*result.warnings, *_unreadable(stream.unreadable)))

    def _check_meant(self, stream: Stream) -> None:
        """Raise what a stream without a picture means, unless it meant to send one."""
        if stream.failed is not None:
            raise self._broken_off(stream.failed, begun=stream.has_partial)
        if stream.is_meant:
            return
        if self._answer.ended is not Ended.WHOLE:
            raise lost(self._answer)
        if stream.unreadable:
            raise ambiguous("The provider's stream of events cannot be read.")
        raise ambiguous("The provider's stream of events ended without the picture.")

    def _without_picture(self, value: Any) -> Ambiguous:
        """What may have been taken is found again by its ids, if it has any."""
        error = ambiguous("The provider answered with success, but sent no picture.", vendor_trouble=False)
        error.ids = self._judge.ids_in(value)
        return error

    def _broken_off(self, value: Any, *, begun: bool) -> SubmitError:
        """Once there was a partial picture, no error proves any more that nothing is charged."""
        verdict = self._judge.of_value(self._answer, value, error_of(value))
        if not begun:
            return verdict
        if isinstance(verdict, Refused):
            verdict.billing = worst((verdict.billing, Billing.MAY_HAVE_BEEN_CHARGED))
            return verdict
        message = f"The provider broke off after it had begun. {verdict}"
        reason = FailureReason.SUBMIT_OUTCOME_UNKNOWN
        return Ambiguous(
            replace(verdict.failure, reason=reason, message=message),
            vendor_trouble=verdict.vendor_trouble,
            ids=verdict.ids,
        )


def _beside(error: SubmitError) -> str:
    failure = error.failure
    said = f": {failure.provider_message}" if failure.provider_message else ""
    return f"The provider reported an error beside the result ({failure.provider_code}){said}"


def _unreadable(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    events = "1 event" if count == 1 else f"{count} events"
    return (f"{events} of the provider's stream could not be read.",)
