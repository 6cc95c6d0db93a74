"""The table of PROMISES §2: total, and word for word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.image import Image
from imageedit_server.outbound.client import Broken, NotSent, OutboundError
from imageedit_server.outbound.errors import Unacceptable
from imageedit_server.providers.base import (
    Ambiguous,
    InputImage,
    NotProcessed,
    PrepareError,
    Refused,
    SubmitError,
)
from imageedit_server.providers.outcomes import (
    ambiguous,
    bare_refusal,
    made_ready,
    not_processed,
    paid_call_error,
    parse_retry_after,
    refusal_of,
    refused,
)
from imageedit_server.runtime import workers
from imageedit_server.runtime.workers import JobFailed, Overran, WorkerDied, WorkersBroken
from imageedit_testing.members import held

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

TABLE = {
    **dict.fromkeys((*range(300, 500), 501, 505), (Refused, FailureReason.PROVIDER_REJECTED)),
    **dict.fromkeys((401, 403), (Refused, FailureReason.PROVIDER_CREDENTIALS)),
    402: (Refused, FailureReason.PROVIDER_CREDITS),
    429: (NotProcessed, FailureReason.PROVIDER_RATE_LIMITED),
    **dict.fromkeys((521, 523, 525, 526, 530), (NotProcessed, FailureReason.PROVIDER_UNAVAILABLE)),
    **dict.fromkeys((408, 409, 425, 499), (Ambiguous, FailureReason.SUBMIT_OUTCOME_UNKNOWN)),
}


@pytest.mark.parametrize("status", TABLE)
def test_the_table(status: int) -> None:
    """Nothing was done: a redirect that is not followed, every 4xx but four, and 501 and 505."""
    kind, reason = TABLE[status]
    error = refusal_of(status, provider_message="why", retry_after=3.0)
    assert type(error) is kind
    assert error.failure.reason is reason
    assert (error.failure.provider_code, error.failure.provider_message) == (str(status), "why")
    assert error.retry_after_seconds == (3.0 if kind is NotProcessed else None)
    assert error.failure.message.endswith(".")


@given(st.integers() | st.integers(100, 600))
def test_every_other_status_is_ambiguous(status: int) -> None:
    error = refusal_of(status)
    kinds = [kind for kind in (NotProcessed, Refused, Ambiguous) if isinstance(error, kind)]
    assert kinds == [TABLE[status][0] if status in TABLE else Ambiguous]


@pytest.mark.parametrize(
    "status", [200, 201, 299, 408, 409, 425, 499, 500, 502, 503, 504, 520, 522, 524, 599, 999, 0, -1]
)
def test_these_are_ambiguous(status: int) -> None:
    error = refusal_of(status, code="c", provider_message="m")
    assert type(error) is Ambiguous
    assert error.failure.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert (error.failure.provider_code, error.failure.provider_message) == ("c", "m")


@pytest.mark.parametrize(
    ("status", "trouble"),
    [(500, True), (503, True), (524, True), (521, True), (200, False), (408, False), (404, False)],
)
def test_only_the_servers_errors_are_the_vendors_trouble(status: int, trouble: bool) -> None:
    """P15: a wrong path and a wrong key are the operator's."""
    assert refusal_of(status).vendor_trouble is trouble


EDGES = [
    (403, {}, b"<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", True),
    (403, {}, b"\n<!-- x --><HTML><h1>Forbidden</h1>", True),
    (403, {}, b"error code: 1010", True),
    (403, {}, b'{"title":"Error 1010","error_code":1010,"cloudflare_error":true}', True),
    (403, {"cf-mitigated": "challenge"}, b"", True),
    (503, {"cf-mitigated": "challenge"}, b"<html>", True),
    (403, {}, b'{"error":"no"}', False),
    (403, {}, b"Forbidden", False),
    (401, {}, b"<html>", False),
]


@pytest.mark.parametrize(("status", "headers", "body", "is_edge"), EDGES)
def test_the_edge_is_no_judge_of_the_key(
    status: int, headers: dict[str, str], body: bytes, is_edge: bool
) -> None:
    found = bare_refusal(status, headers, body)
    assert (found.failure.reason is FailureReason.PROVIDER_UNAVAILABLE) is is_edge
    assert found.failure.reason is not FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert not found.vendor_trouble


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html><title>relay.example | 521:\n down</title>", "relay.example | 521: down"),
        (b"\xef\xbb\xbf <!doctype html><body><h1>502 <b>Bad</b> Gateway</h1>", "502 Bad Gateway"),
        (b'<?xml version="1.0"?><html><head><title>A &amp; B</title>', "A & B"),
    ],
)
def test_a_web_page_is_called_one(body: bytes, said: str) -> None:
    assert bare_refusal(502, {}, body).failure.provider_message == f'a web page with the title "{said}"'


def test_a_web_page_may_have_no_title() -> None:
    assert bare_refusal(502, {}, b"<html>welcome").failure.provider_message == "a web page without a title"
    assert bare_refusal(502, {}, b"<svg/>").failure.provider_message == ""


@given(st.binary(max_size=300) | st.from_regex(rb"(<!--|<\?xml|\s|<title>){0,50}", fullmatch=True))
def test_no_body_breaks_the_verdict(body: bytes) -> None:
    assert bare_refusal(500, {}, body).failure.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN


def test_a_429_without_quota_does_not_pass_by_waiting() -> None:
    error = refusal_of(429, code="insufficient_quota", retry_after=1.0)
    assert isinstance(error, Refused)
    assert error.failure.reason is FailureReason.PROVIDER_CREDITS


def test_the_caller_may_say_it_better() -> None:
    assert refusal_of(400, message="Too dark.").failure.message == "Too dark."
    assert refusal_of(500, message="Too dark.").failure.message == "Too dark."
    assert refusal_of(429, message="Too many.").failure.message == "Too many."


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (NotSent("No connection could be made."), NotProcessed, FailureReason.PROVIDER_UNAVAILABLE),
        (Broken("It broke."), Ambiguous, FailureReason.SUBMIT_OUTCOME_UNKNOWN),
        (Unacceptable("Too large."), Ambiguous, FailureReason.SUBMIT_OUTCOME_UNKNOWN),
        (OutboundError("?"), Ambiguous, FailureReason.SUBMIT_OUTCOME_UNKNOWN),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else str(each),
)
def test_a_call_without_a_reply(error: OutboundError, kind: type[SubmitError], reason: FailureReason) -> None:
    found = paid_call_error(error)
    assert type(found) is kind
    assert found.failure.reason is reason
    assert str(error) in found.failure.message


@pytest.mark.parametrize("reason", FailureReason)
def test_every_reason_has_words(reason: FailureReason) -> None:
    assert refused(reason).failure.message.endswith(".")
    assert not_processed(reason).failure.message.endswith(".")


@pytest.mark.parametrize(
    "make",
    [
        lambda m: refusal_of(400, provider_message=m),
        lambda m: refusal_of(429, provider_message=m),
        lambda m: ambiguous("x", provider_message=m),
        lambda m: refusal_of(400, code=m),
    ],
    ids=["refused", "not processed", "ambiguous", "code"],
)
def test_what_the_vendor_says_is_redacted(make) -> None:
    error = make("see https://h.example/a?canary\r\nsk-canary123")
    assert "canary" not in error.failure.provider_message + error.failure.provider_code
    assert (error.failure.provider_message + error.failure.provider_code).isprintable()


# Retry-After (F40)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("1.", 1.0),
        ("1000000000", 1e9),
        ("9" * 400, 1e9),
        ("-1", None),
        ("+1", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("soon", None),
        ("7 seconds", None),
        ("7, 8", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Monday, 01-Jun-26 12:00:30 GMT", 30.0),
        ("Mon Jun  1 12:00:30 2026", 30.0),
        ("Mon, 01 Jun 2026 12:00:30 -0000", 30.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9),
        ("Mon, 99 Jun 2026 12:00:30 GMT", None),
        ("Mon, 01 Jun 2026 12:00:30 +9999", None),
    ],
    ids=lambda each: ascii(each)[:40],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,9} \S{1,6}"))
def test_no_retry_after_raises(text: str) -> None:
    seconds = parse_retry_after(text, NOW)
    assert seconds is None or 0 <= seconds <= 1e9


class Workers(workers.Workers):
    """Runs in place, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def run(self, function, /, *args, **kwargs):
        if self._error:
            raise self._error
        return function(*args, **kwargs)


GIVEN = InputImage(
    image=Image(image_id="sha256:", media_type="image/png", width=1, height=1, size_bytes=2), read=held(b"11")
)


async def test_what_a_worker_made_is_passed_on() -> None:
    assert await made_ready(Workers(), GIVEN, int, base=2) == 3


@pytest.mark.parametrize(
    "error", [WorkerDied(), WorkersBroken(), Refusal(Reason.DRAINING, "The server stops.")], ids=repr
)
async def test_a_lost_worker_is_no_fault_of_the_picture(error: Exception) -> None:
    with pytest.raises(NotProcessed) as raised:
        await made_ready(Workers(error), GIVEN, len)
    assert raised.value.failure.reason is FailureReason.PROVIDER_UNAVAILABLE
    assert raised.value.retry_after_seconds


@pytest.mark.parametrize("error", [Overran(), MemoryError(), JobFailed("ValueError"), OSError()], ids=repr)
async def test_what_would_fail_alike_each_time_is_the_pictures_fault(error: Exception) -> None:
    with pytest.raises(PrepareError) as raised:
        await made_ready(Workers(error), GIVEN, len)
    assert raised.value.failure.reason is FailureReason.IMAGE_UNDECODABLE


@pytest.mark.parametrize(
    "error",
    [
        PrepareError(FailureReason.IMAGE_UNDECODABLE, "A stored picture is damaged."),
        not_processed(FailureReason.INPUT_FETCH_FAILED, "The disk is away."),
    ],
    ids=repr,
)
async def test_what_is_wrong_with_the_stored_bytes_is_told_as_it_is(error: Exception) -> None:
    async def read() -> bytes:
        raise error

    with pytest.raises(type(error)) as raised:
        await made_ready(Workers(), replace(GIVEN, read=read), len)
    assert raised.value is error
