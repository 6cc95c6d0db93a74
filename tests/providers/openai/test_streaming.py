"""Streamed edits: partial pictures as previews, then the one that is paid for (VENDORS §3.3)."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.providers.base import Ambiguous, Finished, NotProcessed, Prepared, Refused, SubmitError
from imageedit_server.providers.openai import OpenaiAdapter
from imageedit_server.providers.openai.events import events_in, lines_of
from tests.providers.adapters import Reports, finished_by
from tests.providers.openai.jobs import Jobs, opened
from tests.vendors.openai.behaviours import (
    BROKEN_WIRES,
    Behaviour,
    Honest,
    busy,
    error,
    event_of,
    page,
    sends,
    stream,
)
from tests.vendors.openai.server import OpenaiVendor
from tests.vendors.serving import Answer

Reason = FailureReason
Events = Callable[[list[bytes]], Sequence[bytes]]


@pytest.fixture
async def prepared(adapter: OpenaiAdapter, jobs: Jobs) -> Prepared:
    options = OpenaiOptions(partial_images=2)
    return await adapter.prepare(jobs.make(adapter, size="1024x640", options=options))


async def test_partial_pictures_come_before_the_result(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    finished = await finished_by(adapter, prepared, reports)
    assert [opened(preview).size for preview in reports.previews] == [(256, 160)] * 2
    [output] = finished.outputs
    assert opened(output.content).size == (1024, 640)
    assert finished.warnings == ()
    [charge] = vendor.ledger
    assert charge.streamed
    assert finished.vendor_request_id == f"req_{charge.request_id}"


def without_types(events: list[bytes]) -> list[bytes]:
    """Leave the type to the event's name alone."""
    return [event.replace(b'"type": "image_edit.', b'"was": "image_edit.') for event in events]


def without_names(events: list[bytes]) -> list[bytes]:
    """Leave the type to the data alone."""
    return [event.partition(b"\n")[2] for event in events]


SPELLINGS: dict[str, Events] = {
    "as documented": lambda events: events,
    "with [DONE]": lambda events: [*events, event_of("[DONE]")],
    "types in the data only": without_names,
    "types in the names only": without_types,
    "CRLF": lambda events: [event.replace(b"\n", b"\r\n") for event in events],
    "comments": lambda events: [b": ping\n\n", *events, b":\n\n"],
    "ids and retries": lambda events: [b"id: 7\nretry: 100\n" + event for event in events],
    "unknown events": lambda events: [event_of({"type": "image_edit.thinking"}), *events],
    "no space": lambda events: [event.replace(b"data: ", b"data:") for event in events],
    "no blank line at the end": lambda events: [*events[:-1], events[-1].rstrip(b"\n")],
    "many partial pictures": lambda events: [events[0]] * 9 + events,
    "broken after the result": lambda events: [*events, b"data: {\n\n"],
    "an error after the result": lambda events: [*events, event_of({"error": {"message": "x"}}, "error")],
}


@pytest.mark.parametrize("case", SPELLINGS)
async def test_every_spelling_of_a_good_stream(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports, case: str
) -> None:
    vendor.misbehave(stream(case, SPELLINGS[case]))
    finished = await finished_by(adapter, prepared, reports)
    assert opened(finished.outputs[0].content).size == (1024, 640)
    assert len(reports.previews) == 2


async def test_the_result_counts_though_the_stream_breaks_after_it(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    vendor.misbehave(stream("reset after all", lambda events: events, reset=True))
    assert len((await finished_by(adapter, prepared, reports)).outputs) == 1


async def test_a_result_that_cannot_be_read_is_a_bad_result(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    vendor.misbehave(stream("bad", lambda _: [event_of({"type": "image_edit.completed", "b64_json": "?"})]))
    finished = await finished_by(adapter, prepared, reports)
    assert isinstance(finished, Finished)
    assert finished.outputs == ()
    assert finished.warnings == ("1 picture that the provider sent cannot be read.",)


async def test_a_vendor_that_does_not_stream_may_answer_whole(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    whole = json.dumps({"created": 1, "data": [{"b64_json": "QUJD"}]}).encode()
    vendor.misbehave(sends("whole", whole))
    assert (await finished_by(adapter, prepared, reports)).outputs[0].content == b"ABC"
    assert reports.previews == []


async def test_a_stream_without_its_type_is_still_one(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    def plain(honest: Honest) -> Answer:
        return replace(honest, media_type="text/plain")

    vendor.misbehave(Behaviour("plain text", plain))
    assert len((await finished_by(adapter, prepared, reports)).outputs) == 1
    assert len(reports.previews) == 2


async def test_a_preview_that_cannot_be_shown_costs_nothing(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared
) -> None:
    async def broken(*, progress_percent: int | None = None, preview: bytes | None = None) -> None:
        raise RuntimeError("the store is full")

    assert len((await finished_by(adapter, prepared, broken)).outputs) == 1


async def test_a_partial_picture_that_is_none_is_not_shown(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    odd = [event_of({"type": "image_edit.partial_image", "b64_json": value}) for value in ("?", 5)]
    vendor.misbehave(stream("odd", lambda events: [*odd, events[-1]]))
    assert len((await finished_by(adapter, prepared, reports)).outputs) == 1
    assert reports.previews == []


# Streams that bring no result


async def outcome(adapter: OpenaiAdapter, prepared: Prepared, reports: Reports) -> SubmitError:
    with pytest.raises(SubmitError) as raised:
        await finished_by(adapter, prepared, reports)
    return raised.value


BROKEN: list[Behaviour] = [
    stream("cut after a partial picture", lambda events: events[:1]),
    stream("cut within the result", lambda events: [*events[:2], events[2][: len(events[2]) // 2]]),
    stream("[DONE] without a result", lambda events: [*events[:2], event_of("[DONE]")]),
    stream("nothing", lambda _: []),
    stream("no JSON", lambda events: [events[0], b"data: <html>\n\n"]),
    stream("no object", lambda events: [events[0], b"data: [1]\n\n"]),
    stream("reset after a partial picture", lambda events: events[:1], reset=True),
    stream("reset within the result", lambda events: [*events[:2], events[2][:1000]], reset=True),
    stream("reset at once", lambda events: [], reset=True),
]
ERRORS: list[Behaviour] = [
    stream(
        f"{code} after a partial picture",
        lambda events, code=code: [events[0], event_of({"error": {"message": "no", "code": code}}, "error")],  # type: ignore[misc]
    )
    for code in ("server_error", "moderation_blocked", "insufficient_quota", "rate_limit_exceeded", None)
]
REFUSALS = ("moderation_blocked", "insufficient_quota")
"""The codes of which that say that no picture will come."""


@pytest.mark.parametrize("behaviour", [*BROKEN, *ERRORS], ids=lambda behaviour: behaviour.name)
async def test_a_stream_that_breaks_off_proves_nothing(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports, behaviour: Behaviour
) -> None:
    vendor.misbehave(behaviour)
    error = await outcome(adapter, prepared, reports)
    if behaviour.name.startswith(REFUSALS):  # whatever of it is billed
        assert isinstance(error, Refused)
        assert error.billing is Billing.MAY_HAVE_BEEN_CHARGED
    else:
        assert isinstance(error, Ambiguous)
    assert len(vendor.ledger) == len(vendor.requests) == 1


@pytest.mark.parametrize("behaviour", BROKEN_WIRES, ids=lambda behaviour: behaviour.name)
@pytest.mark.usefixtures("waits_are_over")
async def test_a_lost_stream_proves_nothing(
    adapter: OpenaiAdapter,
    vendor: OpenaiVendor,
    prepared: Prepared,
    reports: Reports,
    behaviour: Behaviour,
) -> None:
    """F43, F44."""
    vendor.misbehave(behaviour)
    assert isinstance(await outcome(adapter, prepared, reports), Ambiguous)
    assert len(vendor.requests) == 1
    assert len(vendor.ledger) == int(behaviour.works)


def failing(data: dict[str, object], name: str = "error") -> Behaviour:
    return sends("error event", event_of(data, name), media_type="text/event-stream", works=False)


REFUSED = [
    (failing({"error": {"message": "no", "code": "moderation_blocked"}}), Refused, Reason.CONTENT_REFUSED),
    (
        failing({"type": "error", "error": {"code": "insufficient_quota"}}, ""),
        Refused,
        Reason.PROVIDER_CREDITS,
    ),
    (failing({"message": "n must be 1", "type": "invalid_request_error"}), Refused, Reason.PROVIDER_REJECTED),
    (failing({"error": {"code": "rate_limit_exceeded"}}), NotProcessed, Reason.PROVIDER_RATE_LIMITED),
    (error(400, "moderation_blocked"), Refused, Reason.CONTENT_REFUSED),
    (busy({"retry-after": "2"}), NotProcessed, Reason.PROVIDER_RATE_LIMITED),
    (page(413), Refused, Reason.PROVIDER_REJECTED),
    (failing({"error": {"code": "server_error"}}), Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN),
    (failing({"error": {"message": "overloaded"}}, ""), Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN),
    (page(502), Ambiguous, Reason.SUBMIT_OUTCOME_UNKNOWN),
]


@pytest.mark.parametrize(("behaviour", "kind", "reason"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
async def test_an_error_before_any_partial_picture(
    adapter: OpenaiAdapter,
    vendor: OpenaiVendor,
    prepared: Prepared,
    behaviour: Behaviour,
    kind: type[SubmitError],
    reason: FailureReason,
) -> None:
    vendor.misbehave(behaviour)
    error = await outcome(adapter, prepared, Reports())
    assert (type(error), error.failure.reason) == (kind, reason)
    assert vendor.ledger == []


async def test_what_is_said_of_a_late_refusal(
    adapter: OpenaiAdapter, vendor: OpenaiVendor, prepared: Prepared, reports: Reports
) -> None:
    vendor.misbehave(ERRORS[1])
    error = await outcome(adapter, prepared, reports)
    assert error.failure.provider_code == "moderation_blocked"
    assert "refused the content" in error.failure.message


# Server-sent events alone


def events_of(*lines: str) -> list[tuple[str, object]]:
    return [(event.kind, event.value) for event in events_in(lines)]


def test_data_may_stand_on_several_lines() -> None:
    assert events_of("event: x", 'data: {"a":', "data: 1}", "") == [("x", {"a": 1})]


def test_several_events_may_stand_on_lines_without_a_blank_one_between() -> None:
    assert events_of('data: {"a": 1}', 'data: {"b": 2}', "") == [("", {"a": 1}), ("", {"b": 2})]


@pytest.mark.parametrize("ping", [("event: ping", "data:"), ("data: ",), (": ping",), ("event: ping",)])
def test_a_ping_is_no_event(ping: tuple[str, ...]) -> None:
    assert events_of(*ping, "", 'data: {"type":"x"}', "") == [("x", {"type": "x"})]


def test_an_event_without_data_leaves_nothing_behind() -> None:
    assert events_of("event: error", "", 'data: {"type":"x"}', "") == [("x", {"type": "x"})]


def test_what_is_said_of_the_end_is_no_event() -> None:
    assert events_of('data: {"type":"x"}', "", "data: [DONE]", "") == [("x", {"type": "x"})]


@pytest.mark.parametrize("data", ["{", '{"a":NaN}', "<html>"])
def test_data_that_cannot_be_read_is_kept_count_of(data: str) -> None:
    assert events_of(f"data: {data}", "", 'data: {"type":"x"}', "") == [("", None), ("x", {"type": "x"})]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
async def test_lines_come_whole_however_they_are_cut(end: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in end.join(["data: 1", "é", "", "last"]).encode():
            yield bytes([byte])

    assert [line async for line in lines_of(pieces())] == ["data: 1", "é", "", "last"]
