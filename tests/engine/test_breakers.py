"""Breakers: when a provider is left alone, by whom, and what is said of it (P15)."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.task import State
from imageedit_server.engine.breaker import (
    MAX_CONSECUTIVE,
    MIN_CALLS,
    OPEN_SECONDS,
    WINDOW_SECONDS,
    Breaker,
    Breakers,
)
from imageedit_server.engine.gates import Gate
from imageedit_server.providers.base import Job, ProviderOptions, Report, SubmitError
from imageedit_server.providers.outcomes import ambiguous, bare_refusal, not_processed, refusal_of
from tests.engine.house import DONE, MINUTE, House, Vendor
from tests.engine.virtual_time import VirtualClock

NO = refusal_of(503, code="upstream_down", provider_message="the words of a request")


class Timer:
    now = -OPEN_SECONDS
    """A breaker that opens now may be asked again at 0, which is a time like any other."""

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_after_failures_in_a_row_and_closes_by_a_probe() -> None:
    timer = Timer()
    breaker = Breaker(timer)
    for _ in range(MAX_CONSECUTIVE - 1):
        breaker.record(failed=True)
    assert breaker.allows() is None
    breaker.record(failed=True)
    assert breaker.allows() == 0
    timer.now += OPEN_SECONDS - 0.5
    assert breaker.allows() == 0
    timer.now += 0.5
    assert breaker.allows() == 1
    breaker.begin()
    assert breaker.allows() == 0  # one probe at a time
    breaker.record(failed=False)
    breaker.leave()
    assert breaker.allows() is None


def test_a_failed_probe_keeps_it_open() -> None:
    timer = Timer()
    breaker = Breaker(timer)
    for _ in range(MAX_CONSECUTIVE):
        breaker.record(failed=True)
    timer.now += OPEN_SECONDS
    breaker.begin()
    breaker.record(failed=True)
    breaker.leave()
    assert breaker.allows() == 0
    timer.now += OPEN_SECONDS
    assert breaker.allows() == 1


def test_a_success_between_failures_counts() -> None:
    breaker = Breaker(Timer())
    for _ in range(MIN_CALLS // MAX_CONSECUTIVE):
        for _ in range(MAX_CONSECUTIVE - 2):
            breaker.record(failed=True)
        breaker.record(failed=False)
        breaker.record(failed=False)
        breaker.record(failed=False)
    assert breaker.allows() is None


def test_every_second_call_failing_is_too_many() -> None:
    breaker = Breaker(Timer())
    for number in range(MIN_CALLS):
        breaker.record(failed=number % 2 == 1)
    assert breaker.allows() == 0


def test_what_is_long_ago_does_not_count() -> None:
    timer = Timer()
    breaker = Breaker(timer)
    for number in range(MIN_CALLS - 1):
        breaker.record(failed=number % 2 == 1)
    timer.now += WINDOW_SECONDS + 1
    breaker.record(failed=True)
    assert breaker.allows() is None


# One for each tenant


@dataclass
class Door:
    """The breakers of one provider."""

    timer: Timer = field(default_factory=Timer)

    def __post_init__(self) -> None:
        self.breakers = Breakers(self.timer)

    def fail(self, tenant: str, times: int = 1) -> None:
        for _ in range(times):
            self.breakers.record(tenant, failed=True, failure=NO.failure)


def test_one_tenants_failures_close_the_door_to_him_alone() -> None:
    door = Door()
    door.fail("noisy", 3 * MAX_CONSECUTIVE)
    assert door.breakers.allows() is None
    assert door.breakers.allows_each() == {"noisy": 0}
    door.timer.now += OPEN_SECONDS
    assert door.breakers.allows_each() == {"noisy": 1}
    [probed] = door.breakers.begin("noisy")
    assert door.breakers.allows_each() == {"noisy": 0}
    assert door.breakers.begin("honest") == ()
    door.breakers.record("noisy", failed=False)
    probed.leave()
    assert door.breakers.allows_each() == {}
    assert not door.breakers.is_open


def test_the_failures_of_two_close_it_to_all() -> None:
    door = Door()
    door.fail("a", MAX_CONSECUTIVE - 1)
    door.fail("b")
    assert door.breakers.allows() == 0
    assert door.breakers.allows_each() == {}  # and to nobody of himself
    door.timer.now += OPEN_SECONDS
    [probed] = door.breakers.begin("c")
    assert door.breakers.allows() == 0
    door.breakers.record("c", failed=False)
    probed.leave()
    assert door.breakers.allows() is None


def test_a_failure_of_another_before_the_window_does_not_count() -> None:
    door = Door()
    door.fail("b")
    door.timer.now += WINDOW_SECONDS + 1
    door.fail("a", MAX_CONSECUTIVE)
    assert door.breakers.allows() is None
    assert door.breakers.allows_each() == {"a": 0}


def test_tenants_that_are_well_leave_nothing_behind() -> None:
    door = Door()
    for number in range(100):
        door.breakers.record(f"t{number}", failed=False)
        door.timer.now += WINDOW_SECONDS + 1
    assert door.breakers.tenants == {"t99"}


def test_the_vendors_words_are_told_to_him_alone_whose_request_they_may_repeat() -> None:
    door = Door()
    door.fail("a", MAX_CONSECUTIVE - 1)
    door.fail("b")
    assert door.breakers.failures_each() == {"b": NO.failure}
    told = door.breakers.failure_for_all()
    assert told is not None
    assert (told.provider_code, told.provider_message) == ("upstream_down", "")


TROUBLES = [
    (ambiguous("No answer."), True),
    (refusal_of(500), True),
    (refusal_of(524), True),
    (bare_refusal(521, {}, b"<html>"), True),
    (not_processed(FailureReason.PROVIDER_UNAVAILABLE, "No connection."), True),
    (refusal_of(503, code="model_not_found"), False),
    (refusal_of(500, code="rate_limit_exceeded"), False),
    (refusal_of(401), False),
    (refusal_of(404), False),
    (refusal_of(405), False),
    (refusal_of(429), False),
    (refusal_of(408), False),
    (refusal_of(301), False),
    (bare_refusal(403, {}, b"<html>"), False),
    (bare_refusal(200, {}, b"<html>"), False),
    (None, False),
]


@pytest.mark.parametrize(("error", "counts"), TROUBLES, ids=map(str, range(len(TROUBLES))))
async def test_only_the_vendors_own_trouble_counts(error: SubmitError | None, counts: bool) -> None:
    gate = Gate(ProviderOptions(adapter="x"), VirtualClock(), Timer())
    for _ in range(MAX_CONSECUTIVE):
        gate.record("t", error)
    assert gate.breakers.is_open is counts


# In the house


async def test_a_wrong_path_opens_nothing(house: House, vendor: Vendor) -> None:
    """The sixth task fails as fast as the first, and says why."""

    async def submit(job: Job, report: Report) -> None:
        raise bare_refusal(405, {}, b"")

    vendor.submit = submit  # type: ignore[assignment]
    started = house.clock.now()
    for _ in range(MAX_CONSECUTIVE + 1):
        task = await house.ended(await house.create())
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.PROVIDER_REJECTED
    assert house.clock.now() == started


async def test_a_task_that_ends_behind_it_names_what_opened_it(house: House, vendor: Vendor) -> None:
    async def submit(job: Job, report: Report) -> None:
        raise NO

    vendor.submit = submit  # type: ignore[assignment]
    for _ in range(MAX_CONSECUTIVE):
        await house.ended(await house.create())
    paid = len(vendor.paid)
    task = await house.ended(await house.create(timeout=MINUTE / 6))
    assert len(vendor.paid) == paid
    error = task.status.error
    assert error is not None
    assert error.reason is FailureReason.DEADLINE_EXCEEDED
    assert (error.provider_code, error.provider_message) == ("upstream_down", "the words of a request")
    assert "The provider answered 503." in error.message


async def test_one_tenants_trouble_is_not_anothers(tmp_path: Path, vendor: Vendor) -> None:
    """His tasks wait, and those of others are found behind them, one place though there be."""

    async def submit(job: Job, report: Report) -> object:
        if job.request.prompt == "boom":
            raise NO
        return DONE

    vendor.submit = submit  # type: ignore[assignment]
    async with House(tmp_path, vendor, concurrency=1) as house:
        for _ in range(MAX_CONSECUTIVE):
            await house.ended(await house.create(tenant="a", prompt="boom"), "a")
        waiting = [await house.create(tenant="a", prompt="fine") for _ in range(3)]
        honest = await house.create(tenant="b")
        assert (await house.ended(honest, "b")).status.state is State.SUCCEEDED
        assert {(await house.get(each, "a")).status.state for each in waiting} == {State.QUEUED}
        for each in waiting:
            assert (await house.ended(each, "a")).status.state is State.SUCCEEDED
