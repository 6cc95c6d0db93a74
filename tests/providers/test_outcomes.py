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
    429: (NotProcessed, FailureReason.PROVIDER_RATE_LIMITED),
    455: (NotProcessed, FailureReason.PROVIDER_UNAVAILABLE),
    400: (Refused, FailureReason.PROVIDER_REJECTED),
    404: (Refused, FailureReason.PROVIDER_REJECTED),
    413: (Refused, FailureReason.PROVIDER_REJECTED),
    415: (Refused, FailureReason.PROVIDER_REJECTED),
    422: (Refused, FailureReason.PROVIDER_REJECTED),
    401: (Refused, FailureReason.PROVIDER_CREDENTIALS),
    403: (Refused, FailureReason.PROVIDER_CREDENTIALS),
    402: (Refused, FailureReason.PROVIDER_CREDITS),
    433: (Refused, FailureReason.PROVIDER_CREDITS),
    505: (Refused, FailureReason.PROVIDER_DISABLED),
}


@pytest.mark.parametrize("status", TABLE)
def test_the_table(status: int) -> None:
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
    "status", [200, 201, 301, 302, 307, 408, 409, 418, 500, 501, 502, 503, 504, 999, 0, -1]
)
def test_these_are_ambiguous(status: int) -> None:
    error = refusal_of(status, code="c", provider_message="m")
    assert type(error) is Ambiguous
    assert error.failure.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert (error.failure.provider_code, error.failure.provider_message) == ("c", "m")


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
