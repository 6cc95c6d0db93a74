"""What the end of a paid call means (PROMISES §2): retried, final, or never known."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.request import OnUnknown
from imageedit_server.core.task import Outcome, Stage, Task
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    Job,
    NotProcessed,
    Prepared,
    Report,
    SubmitError,
    VendorIds,
    VendorTaskUnknown,
)
from imageedit_server.providers.outcomes import ambiguous, not_processed, refused
from tests.engine.house import DONE, MINUTE, PUBLIC_URL, House, Puppet, Vendor, accept, finish_now

BUSY = not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", code="429")
DOWN = not_processed(FailureReason.PROVIDER_UNAVAILABLE, "Not there.")
LOST = ambiguous("The answer is lost.")

Raiser = Callable[[Job, Report], "asyncio.Future[Accepted]"]


def raising(*errors: BaseException) -> object:
    """A vendor that raises each of ``errors`` in turn, the last one for ever."""
    left = list(errors)

    async def submit(job: Job, report: Report) -> Accepted:
        raise left.pop(0) if len(left) > 1 else left[0]

    return submit


def reason_of(task: Task) -> FailureReason | None:
    return task.status.error.reason if task.status.error else None


def outcomes(task: Task) -> list[Outcome]:
    return [attempt.outcome for attempt in task.status.attempts]


# Not processed


async def test_what_was_not_processed_is_tried_again(house: House, vendor: Vendor) -> None:
    """The task goes back to the queue; each try is an attempt of its own, and none of them costs."""

    async def submit(job: Job, report: Report) -> Accepted:
        if len(vendor.paid) < 3:
            raise BUSY
        return await accept(job, report)

    vendor.submit = submit
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.images
    assert outcomes(task) == [Outcome.NOT_PROCESSED, Outcome.NOT_PROCESSED, Outcome.SUCCEEDED]
    assert [attempt.billing for attempt in task.status.attempts] == [
        Billing.NOT_CHARGED,
        Billing.NOT_CHARGED,
        Billing.CHARGED,
    ]
    assert [attempt.number for attempt in task.status.attempts] == [1, 2, 3]
    assert vendor.paid == [f"{task_id}-{number}" for number in (1, 2, 3)]
    once = ["QUEUED", "PREPARING", "SUBMITTING"]
    assert await house.story(task_id) == [*once * 3, "WAITING", "DOWNLOADING", "SUCCEEDED"]
    error = task.status.attempts[0].error
    assert error is not None
    assert (error.reason, error.provider_code) == (FailureReason.PROVIDER_RATE_LIMITED, "429")


@pytest.mark.parametrize(("said", "waited"), [(7.0, 7), (0.0, 1), (-5.0, 1), (1e9, 600), (None, 1)])
async def test_the_vendors_word_on_when_to_come_again_counts_within_bounds(
    house: House, vendor: Vendor, said: float | None, waited: float
) -> None:
    """F40: 1 s to 10 min."""
    again = not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", retry_after=said)
    times = []

    async def submit(job: Job, report: Report) -> Finished:
        times.append(house.clock.now())
        if len(times) == 1:
            raise again
        return DONE

    vendor.submit = submit
    await house.ended(await house.create())
    assert (times[1] - times[0]).total_seconds() == waited


async def test_without_its_word_the_waits_double(house: House, vendor: Vendor) -> None:
    times = []

    async def submit(job: Job, report: Report) -> Finished:
        times.append(house.clock.now())
        if len(times) == 5:
            return DONE
        raise BUSY

    vendor.submit = submit
    await house.ended(await house.create())
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert gaps == [1, 2, 4, 8]


@pytest.mark.parametrize("error", [BUSY, DOWN])
async def test_what_lasts_to_the_deadline_fails_with_its_reason(
    house: House, vendor: Vendor, error: NotProcessed
) -> None:
    vendor.submit = raising(error)  # type: ignore[assignment]
    task = await house.ended(await house.create(timeout=2 * MINUTE))
    assert reason_of(task) is error.failure.reason
    assert task.status.error is not None
    assert task.status.error.retryable
    assert task.status.billing is Billing.NOT_CHARGED
    assert task.status.end_time is not None
    assert task.status.end_time <= task.deadline
    assert set(outcomes(task)) == {Outcome.NOT_PROCESSED}


async def test_what_cannot_be_prepared_now_is_prepared_later(house: House, vendor: Vendor) -> None:
    """A vendor's upload that is down: no attempt, since nothing was about to be paid."""
    tries = []

    async def prepare(job: Job) -> Prepared:
        tries.append(job.attempt_key)
        if len(tries) < 3:
            raise DOWN
        return Prepared(payload=job)

    vendor.prepare = prepare
    task_id = await house.create()
    task = await house.ended(task_id)
    assert outcomes(task) == [Outcome.SUCCEEDED]
    assert tries == [f"{task_id}-1"] * 3


async def test_what_can_never_be_prepared_ends_with_its_reason(house: House, vendor: Vendor) -> None:
    async def prepare(job: Job) -> Prepared:
        raise DOWN

    vendor.prepare = prepare
    task = await house.ended(await house.create(timeout=MINUTE))
    assert reason_of(task) is FailureReason.PROVIDER_UNAVAILABLE
    assert (task.status.billing, vendor.paid) == (Billing.NOT_CHARGED, [])


async def test_a_task_that_waits_can_be_overtaken(house: House, vendor: Vendor) -> None:
    """One task's Retry-After holds up no other, not even at the same provider."""

    async def submit(job: Job, report: Report) -> Finished:
        if job.request.prompt == "slow" and job.attempt_key.endswith("-1"):
            raise not_processed(FailureReason.PROVIDER_RATE_LIMITED, "Not now.", retry_after=500)
        return DONE

    vendor.submit = submit
    slow = await house.create(prompt="slow")
    quick = await house.ended(await house.create(prompt="quick"))
    overtaken = await house.ended(slow)
    assert overtaken.status.images
    assert overtaken.status.end_time is not None
    assert quick.status.end_time is not None
    assert overtaken.status.end_time - quick.status.end_time >= timedelta(seconds=500 - 1)


# Refused


@pytest.mark.parametrize(
    "reason", [FailureReason.PROVIDER_REJECTED, FailureReason.CONTENT_REFUSED, FailureReason.PROVIDER_CREDITS]
)
async def test_what_is_refused_is_final_and_free(house: House, vendor: Vendor, reason: FailureReason) -> None:
    vendor.submit = raising(refused(reason, "No.", code="422"))  # type: ignore[assignment]
    task = await house.ended(await house.create(on_unknown=OnUnknown.RESUBMIT))
    assert reason_of(task) is reason
    assert task.status.billing is Billing.NOT_CHARGED
    assert outcomes(task) == [Outcome.NOT_PROCESSED]
    assert len(vendor.paid) == 1


# Ambiguous

UNCLEAR = {
    "ambiguous": LOST,
    "any exception": RuntimeError("?"),
    "a value error": ValueError("\udcff"),
    "an os error": ConnectionResetError(),
    "a timeout of its own": TimeoutError(),
    "a broken pipe in a group": ExceptionGroup("x", [OSError()]),
    "an assertion": AssertionError(),
    "not implemented": NotImplementedError(),
    "a lost lease, of all things": KeyError("lease"),
}


@pytest.mark.parametrize("error", UNCLEAR.values(), ids=UNCLEAR)
async def test_what_is_not_clear_is_never_sent_again(house: House, vendor: Vendor, error: Exception) -> None:
    """P5: any exception out of ``submit`` counts as ambiguous; where no callback can come it ends at once."""
    started = house.clock.now()
    vendor.submit = raising(error)  # type: ignore[assignment]
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert outcomes(task) == [Outcome.UNKNOWN]
    assert await house.story(task_id) == ["QUEUED", "PREPARING", "SUBMITTING", "SUBMIT_UNKNOWN", "FAILED"]
    assert len(vendor.paid) == 1
    assert house.clock.now() - started < timedelta(seconds=1)


async def test_an_answer_of_the_wrong_kind_is_not_clear_either(house: House, vendor: Vendor) -> None:
    """An adapter that returns nothing has not proved that nothing was paid."""

    async def submit(job: Job, report: Report) -> Accepted:
        return None  # type: ignore[return-value]

    vendor.submit = submit
    task = await house.ended(await house.create())
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert len(vendor.paid) == 1


async def test_the_paid_call_has_a_wall_limit(house: House, vendor: Vendor) -> None:
    """F43: a vendor that never answers is given ``submit_seconds``, then nobody knows."""
    started = house.clock.now()

    async def submit(job: Job, report: Report) -> Accepted:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    vendor.submit = submit
    task = await house.ended(await house.create())
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert (house.clock.now() - started).total_seconds() == 60
    assert len(vendor.paid) == 1


async def test_a_window_is_kept_open_where_a_callback_can_come(tmp_path: Path, vendor: Vendor) -> None:
    """DESIGN §4: min(``unknown_window_seconds``, time to the deadline)."""
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        long = await house.create("correlated", timeout=timedelta(hours=2))
        short = await house.create("correlated", timeout=10 * MINUTE)
        plain = await house.create("plain", timeout=timedelta(hours=2))
        lengths = {}
        for task_id in (plain, short, long):
            task = await house.ended(task_id)
            assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
            assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
            assert task.status.end_time is not None
            lengths[task_id] = task.status.end_time - task.create_time
    assert (lengths[plain], lengths[short], lengths[long]) == (timedelta(0), 10 * MINUTE, 30 * MINUTE)
    assert len(vendor.paid) == 3


async def test_without_a_public_url_nobody_can_call_back(house: House, vendor: Vendor) -> None:
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    task = await house.ended(await house.create("correlated"))
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.end_time == task.create_time


async def test_an_unknown_outcome_holds_no_place(tmp_path: Path, vendor: Vendor) -> None:
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    async with House(tmp_path, vendor, public_url=PUBLIC_URL, concurrency=1) as house:
        unknown = await house.create("correlated")
        await house.reached(unknown, Stage.SUBMIT_UNKNOWN)
        vendor.submit = finish_now
        assert (await house.ended(await house.create("correlated"))).status.images
        assert (await house.get(unknown)).status.stage is Stage.SUBMIT_UNKNOWN


async def test_a_callback_ends_the_doubt(tmp_path: Path, vendor: Vendor) -> None:
    """P6: it tells the id that the lost answer would have told, and asks for a poll now."""
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id = await house.create("correlated")
        await house.reached(task_id, Stage.SUBMIT_UNKNOWN)
        await house.clock.sleep(200)
        before = house.clock.now()
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        await house.callbacks.receive("correlated", token, {}, b"vendor-7")
        task = await house.ended(task_id)
        assert task.status.images
        assert task.status.attempts[0].vendor_task_id == "vendor-7"
        assert vendor.polled == ["vendor-7"]
        assert len(vendor.paid) == 1
        assert house.clock.now() - before < timedelta(seconds=1)  # "poll now"
        assert (await house.story(task_id))[3:] == ["SUBMIT_UNKNOWN", "WAITING", "DOWNLOADING", "SUCCEEDED"]


async def test_a_callback_while_waiting_is_a_hint_to_poll_now(tmp_path: Path, vendor: Vendor) -> None:
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id = await house.create("correlated")
        started = house.clock.now()
        await house.reached(task_id, Stage.WAITING)
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        await house.callbacks.receive("correlated", token, {}, b"anything")
        task = await house.ended(task_id)
        assert house.clock.now() == started
        assert task.status.attempts[0].vendor_task_id == f"v-{task_id}-1"


async def test_a_callback_that_overtakes_the_answer_changes_nothing(tmp_path: Path, vendor: Vendor) -> None:
    """F59: either order ends alike."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:

        async def submit(job: Job, report: Report) -> Accepted:
            token = job.callback_url.rsplit("/", 1)[1]
            await house.callbacks.receive("correlated", token, {}, f"v-{job.attempt_key}".encode())
            return await accept(job, report)

        vendor.submit = submit
        task_id = await house.create("correlated")
        task = await house.ended(task_id)
        assert task.status.images
        assert len(vendor.paid) == 1


async def test_a_callback_does_not_lift_the_doubt_of_another_vendors_id(
    tmp_path: Path, vendor: Vendor
) -> None:
    """The id of somebody else's work is not believed; the window goes on and ends as it would have."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        first = await house.ended(await house.create("correlated"))
        vendor.submit = raising(LOST)  # type: ignore[assignment]
        task_id = await house.create("correlated")
        await house.reached(task_id, Stage.SUBMIT_UNKNOWN)
        token = vendor.callback_urls[1].rsplit("/", 1)[1]
        stolen = first.status.attempts[0].vendor_task_id.encode()
        await house.callbacks.receive("correlated", token, {}, stolen)
        assert (await house.ended(task_id)).status.error == transitions.SUBMIT_OUTCOME_UNKNOWN


async def test_who_asks_for_it_pays_again(house: House, vendor: Vendor) -> None:
    """RESUBMIT re-sends at the point where FAIL would fail; both calls stay on the books."""

    async def submit(job: Job, report: Report) -> Finished:
        if len(vendor.paid) == 1:
            raise LOST
        return DONE

    vendor.submit = submit
    task_id = await house.create(on_unknown=OnUnknown.RESUBMIT)
    task = await house.ended(task_id)
    assert task.status.images
    assert outcomes(task) == [Outcome.UNKNOWN, Outcome.SUCCEEDED]
    assert [attempt.billing for attempt in task.status.attempts] == [
        Billing.MAY_HAVE_BEEN_CHARGED,
        Billing.CHARGED,
    ]
    assert vendor.paid == [f"{task_id}-1", f"{task_id}-2"]


async def test_who_asks_for_it_pays_twice_but_not_for_ever(house: House, vendor: Vendor) -> None:
    """The proto says "may pay twice": a vendor that loses every answer is not paid until the deadline."""
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    task = await house.ended(await house.create(on_unknown=OnUnknown.RESUBMIT))
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert outcomes(task) == [Outcome.UNKNOWN, Outcome.UNKNOWN]
    assert len(vendor.paid) == 2


async def test_a_resubmitted_call_that_waits_its_turn_is_not_forgotten(house: House, vendor: Vendor) -> None:
    """After the doubt, "not now" gives the task back as ever, and the first attempt stays unknown."""
    left = [LOST, BUSY, BUSY]

    async def submit(job: Job, report: Report) -> Finished:
        if left:
            raise left.pop(0)
        return DONE

    vendor.submit = submit
    task = await house.ended(await house.create(on_unknown=OnUnknown.RESUBMIT))
    assert outcomes(task) == [
        Outcome.UNKNOWN,
        Outcome.NOT_PROCESSED,
        Outcome.NOT_PROCESSED,
        Outcome.SUCCEEDED,
    ]


async def test_who_takes_our_key_is_asked_again_under_it(house: House, vendor: Vendor) -> None:
    """NATIVE_KEY: the same attempt, the same number; the vendor does it once."""
    left = [LOST, RuntimeError("?"), LOST]

    async def submit(job: Job, report: Report) -> Finished:
        if left:
            raise left.pop(0)
        return DONE

    vendor.submit = submit
    task_id = await house.create("keyed")
    task = await house.ended(task_id)
    assert task.status.images
    assert outcomes(task) == [Outcome.SUCCEEDED]
    assert set(vendor.paid) == {f"{task_id}-1"}
    assert len(vendor.paid) == 4


async def test_who_takes_our_key_and_never_answers_is_unknown_at_the_deadline(
    house: House, vendor: Vendor
) -> None:
    vendor.submit = raising(LOST)  # type: ignore[assignment]
    task_id = await house.create("keyed", timeout=5 * MINUTE)
    task = await house.ended(task_id)
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert task.status.end_time == task.deadline
    assert set(vendor.paid) == {f"{task_id}-1"}
    assert len(vendor.paid) < 30  # it backs off


# What the vendor said


async def test_an_unknown_outcome_says_why(house: House, vendor: Vendor) -> None:
    """The reason is the doubt; what the vendor said to the call comes with it."""
    vendor.submit = raising(ambiguous("It answered 502.", code="502", provider_message="Upstream is away"))  # type: ignore[assignment]
    task = await house.ended(await house.create())
    assert task.status.error == replace(
        transitions.SUBMIT_OUTCOME_UNKNOWN, provider_code="502", provider_message="Upstream is away"
    )


def naming(error: SubmitError, **ids: str) -> SubmitError:
    error.ids = VendorIds(**ids)
    return error


async def test_an_id_in_a_doubtful_answer_is_kept(house: House, vendor: Vendor) -> None:
    """A vendor that answers at once is not asked about it: people may be."""
    vendor.submit = raising(naming(ambiguous("No picture."), task_id="w1", request_id="r1"))  # type: ignore[assignment]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Puppet, "polls", False)
        task = await house.ended(await house.create())
    [attempt] = task.status.attempts
    assert (attempt.vendor_task_id, attempt.vendor_request_id) == ("w1", "r1")
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert vendor.polled == []


async def test_an_id_in_a_doubtful_answer_is_asked_about(house: House, vendor: Vendor) -> None:
    """Asking is free, and may end the doubt well."""
    vendor.submit = raising(naming(ambiguous("It said 500."), task_id="w1"))  # type: ignore[assignment]
    task = await house.ended(await house.create())
    assert task.status.images
    assert vendor.polled == ["w1"]
    assert len(vendor.paid) == 1


async def test_an_id_that_the_vendor_does_not_know_leaves_the_doubt(house: House, vendor: Vendor) -> None:
    async def poll(vendor_task_id: str, report: Report) -> Finished:
        raise VendorTaskUnknown

    vendor.poll = poll
    vendor.submit = raising(naming(ambiguous("It said 500.", code="500"), task_id="w1"))  # type: ignore[assignment]
    task = await house.ended(await house.create())
    assert task.status.error == replace(transitions.SUBMIT_OUTCOME_UNKNOWN, provider_code="500")
    assert outcomes(task) == [Outcome.UNKNOWN]


async def test_an_id_that_names_other_work_is_not_kept(house: House, vendor: Vendor) -> None:
    first = await house.ended(await house.create())
    stolen = first.status.attempts[0].vendor_task_id
    vendor.submit = raising(naming(ambiguous("It said 500."), task_id=stolen, request_id="r"))  # type: ignore[assignment]
    task = await house.ended(await house.create())
    [attempt] = task.status.attempts
    assert (attempt.vendor_task_id, attempt.vendor_request_id) == ("", "r")
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN


@pytest.mark.parametrize("billing", [Billing.CHARGED, Billing.MAY_HAVE_BEEN_CHARGED])
async def test_a_refusal_that_is_billed_is_a_failed_attempt(
    house: House, vendor: Vendor, billing: Billing
) -> None:
    error = refused(FailureReason.CONTENT_REFUSED, billing=billing)
    error.usage = {"cost_usd": "0.022"}
    vendor.submit = raising(error)  # type: ignore[assignment]
    task = await house.ended(await house.create())
    assert outcomes(task) == [Outcome.FAILED]
    assert (task.status.billing, reason_of(task)) == (billing, FailureReason.CONTENT_REFUSED)
    assert task.status.attempts[0].end_time is not None
    assert task.status.attempts[0].usage == error.usage
    free = await house.ended(await house.create("free"))
    assert (free.status.billing, outcomes(free)) == (Billing.NOT_CHARGED, [Outcome.NOT_PROCESSED])
