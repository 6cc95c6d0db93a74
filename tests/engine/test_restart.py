"""A crash anywhere, and a restart on what it left: nothing lost, nothing paid twice (F5 to F14, P5, P6)."""

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.request import OnUnknown
from imageedit_server.core.task import Outcome, Stage, State, Task
from imageedit_server.images.library import ImageLibrary
from imageedit_server.providers.base import Accepted, Finished, Job, Output, Report
from tests.engine.house import (
    MINUTE,
    PUBLIC_URL,
    RESULT,
    RESULT_ID,
    Door,
    House,
    Vendor,
    accept,
    finish_now,
)

RESTART = timedelta(seconds=2)
"""P7: the file lock proves the former owner dead; nobody waits for leases."""

ANSWER_RESERVED = "answer_reserved"
BEFORE_INTENT = ["claim_before_intent", "submit_before_intent"]
AFTER_INTENT = "submit_after_intent"
IN_THE_CALL = "in the call"
ANSWER_HEAD = "answer_head"
ANSWER_WHOLE = "answer_whole"
ANSWER_UNDERSTOOD = "answer_understood"
AFTER_REPLY = "submit_after_reply"
AFTER_ACCEPTED = "submit_after_accepted"
AFTER_POLL = "poll_after_success"
IN_DOWNLOAD = "in the download"
BEFORE_COMMIT = "download_before_commit"
AFTER_COMMIT = "download_after_commit"

URL = "https://cdn.test/1"


async def finish_with_url(job: Job, report: Report) -> Finished:
    return Finished(outputs=(Output(url=URL),))


async def die_and_restart(
    house: House,
    point: str,
    task_provider: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    lose_answers: bool = False,
    **fields: object,
) -> tuple[str, list[int]]:
    """Create a task, die at ``point`` on its way, start again; return its id and the seqs that were there."""
    vendor, submit = house.vendor, house.vendor.submit
    killed = house.kill_at(point, monkeypatch)
    if point == IN_THE_CALL:

        async def die_in_the_call(job: Job, report: Report) -> Accepted | Finished:
            vendor.submit = submit
            house.die(killed)
            raise AssertionError

        vendor.submit = die_in_the_call
    if point == IN_DOWNLOAD:
        add = ImageLibrary.add

        async def die_in_the_download(
            self: ImageLibrary, *args: object, field: str, **kwargs: object
        ) -> object:
            if field == "result" and not killed.is_set():
                house.die(killed)
            return await add(self, *args, field=field, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(ImageLibrary, "add", die_in_the_download)
    task_id = await house.create(task_provider, **fields)  # type: ignore[arg-type]
    await killed.wait()
    await house.kill()
    if lose_answers:
        await asyncio.to_thread(shutil.rmtree, house.folder / "answers")
    await house.start()
    before = [event.seq for event in await house.events_now(task_id)]
    return task_id, before


async def finished_in_time(house: House, task_id: str) -> Task:
    restarted = house.clock.now()
    task = await house.ended(task_id)
    assert house.clock.now() - restarted <= RESTART + timedelta(seconds=2.5)
    return task


@pytest.mark.parametrize(
    "point",
    [*BEFORE_INTENT, ANSWER_RESERVED, AFTER_ACCEPTED, AFTER_POLL, IN_DOWNLOAD, BEFORE_COMMIT, AFTER_COMMIT],
)
@pytest.mark.parametrize("provider", ["plain", "correlated", "keyed"])
async def test_a_vendor_that_is_polled_loses_nothing_outside_the_call(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str, provider: str
) -> None:
    task_id, before = await die_and_restart(house, point, provider, monkeypatch)
    task = await finished_in_time(house, task_id)
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert task.status.billing is Billing.CHARGED
    assert vendor.paid == [f"{task_id}-1"]
    assert len(task.status.attempts) == 1
    if point == AFTER_COMMIT:
        assert len(await house.events(task_id)) == len(before)  # F13: nothing repeats


@pytest.mark.parametrize("point", [AFTER_INTENT, IN_THE_CALL, ANSWER_HEAD])
@pytest.mark.parametrize("submit", [accept, finish_now])
async def test_in_the_call_it_stays_unknown(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str, submit: object
) -> None:
    """F6, F7, F94 at a vendor without key and callback: never sent again, and it may cost."""
    vendor.submit = submit  # type: ignore[assignment]
    task_id, _ = await die_and_restart(house, point, "plain", monkeypatch)
    task = await finished_in_time(house, task_id)
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert [attempt.outcome for attempt in task.status.attempts] == [Outcome.UNKNOWN]
    assert len(vendor.paid) == (0 if point == AFTER_INTENT else 1)
    assert (await house.story(task_id))[-2:] == ["SUBMIT_UNKNOWN", "FAILED"]


@pytest.mark.parametrize("point", [AFTER_INTENT, IN_THE_CALL])
async def test_who_asked_for_it_is_paid_again_after_a_crash(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    task_id, _ = await die_and_restart(house, point, "plain", monkeypatch, on_unknown=OnUnknown.RESUBMIT)
    task = await house.ended(task_id)
    assert task.status.images
    assert [attempt.outcome for attempt in task.status.attempts] == [Outcome.UNKNOWN, Outcome.SUCCEEDED]
    assert vendor.paid[-1] == f"{task_id}-2"


@pytest.mark.parametrize("point", [IN_THE_CALL, ANSWER_HEAD])
async def test_a_callback_tells_what_the_crash_made_us_forget(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """F7, P6: the token that rode in the callback URL is the way back to the paid work."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id, _ = await die_and_restart(house, point, "correlated", monkeypatch)
        await house.reached(task_id, Stage.SUBMIT_UNKNOWN)
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        await house.callbacks.receive("correlated", token, {}, b"vendor-7")
        task = await finished_in_time(house, task_id)
        assert task.status.images
        assert task.status.attempts[0].vendor_task_id == "vendor-7"
        assert len(vendor.paid) == 1


async def test_without_a_callback_the_window_closes(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F6: nothing was sent, so nothing calls back, and nothing was charged."""
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id, _ = await die_and_restart(
            house, AFTER_INTENT, "correlated", monkeypatch, timeout=timedelta(hours=2)
        )
        restarted = house.clock.now()
        task = await house.ended(task_id)
        assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
        assert house.clock.now() - restarted == 30 * MINUTE
        assert vendor.paid == []


async def test_the_window_goes_on_over_a_restart(tmp_path: Path, vendor: Vendor) -> None:
    async def lose(job: Job, report: Report) -> Accepted:
        raise ConnectionResetError

    vendor.submit = lose
    async with House(tmp_path, vendor, public_url=PUBLIC_URL) as house:
        task_id = await house.create("correlated", timeout=timedelta(hours=2))
        started = house.clock.now()
        await house.reached(task_id, Stage.SUBMIT_UNKNOWN)
        for _ in range(3):
            await house.clock.sleep(300)
            await house.restart()
        await house.ended(task_id)
        assert house.clock.now() - started == 30 * MINUTE
        assert len(vendor.paid) == 1


ANYWHERE = [*BEFORE_INTENT, AFTER_INTENT, IN_THE_CALL, AFTER_REPLY, IN_DOWNLOAD, BEFORE_COMMIT, AFTER_COMMIT]


@pytest.mark.parametrize(
    ("submit", "point"),
    [
        *((submit, point) for submit in (accept, finish_now, finish_with_url) for point in ANYWHERE),
        (accept, ANSWER_RESERVED),
        (accept, AFTER_ACCEPTED),
        (accept, AFTER_POLL),
    ],
)
async def test_who_takes_our_key_does_every_task_once(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str, submit: object
) -> None:
    """NATIVE_KEY: an interrupted attempt runs again under the same number, wherever it was interrupted."""
    vendor.files[URL] = RESULT
    vendor.submit = submit  # type: ignore[assignment]
    provider = "free" if submit is finish_now else "keyed"
    task_id, _ = await die_and_restart(house, point, provider, monkeypatch)
    task = await finished_in_time(house, task_id)
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert set(vendor.paid) == {f"{task_id}-1"}
    assert len(task.status.attempts) == 1
    assert task.status.billing is (Billing.NOT_CHARGED if provider == "free" else Billing.CHARGED)
    await house.events(task_id)


@pytest.mark.parametrize("point", [IN_DOWNLOAD, BEFORE_COMMIT])
async def test_a_result_at_an_address_is_fetched_again(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """F11, F12 at a synchronous vendor: where the answer said where, a restart fetches it."""
    vendor.files[URL] = RESULT
    vendor.submit = finish_with_url
    task_id, _ = await die_and_restart(house, point, "plain", monkeypatch)
    task = await finished_in_time(house, task_id)
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert len(vendor.paid) == 1


@pytest.mark.parametrize("point", [ANSWER_WHOLE, ANSWER_UNDERSTOOD, AFTER_REPLY, IN_DOWNLOAD, BEFORE_COMMIT])
@pytest.mark.parametrize("submit", [accept, finish_now])
@pytest.mark.parametrize("provider", ["plain", "correlated", "keyed"])
async def test_an_answer_that_had_come_is_read_again(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str, submit: object, provider: str
) -> None:
    """F8, F11, F12, F95, F97, P31: the file goes on where the process ended, and nothing is paid twice."""
    vendor.submit = submit  # type: ignore[assignment]
    task_id, _ = await die_and_restart(house, point, provider, monkeypatch)
    task = await finished_in_time(house, task_id)
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert task.status.billing is Billing.CHARGED
    assert [attempt.outcome for attempt in task.status.attempts] == [Outcome.SUCCEEDED]
    assert vendor.paid == [f"{task_id}-1"]
    await house.events(task_id)


@pytest.mark.parametrize("point", [IN_DOWNLOAD, BEFORE_COMMIT])
async def test_a_result_whose_answer_is_gone_too_may_have_been_charged(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """A synchronous vendor that answers with bytes is never asked again: the task says what it may cost."""
    vendor.submit = finish_now
    task_id, _ = await die_and_restart(house, point, "plain", monkeypatch, lose_answers=True)
    task = await finished_in_time(house, task_id)
    assert task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert len(vendor.paid) == 1


@pytest.mark.parametrize("lose_answers", [False, True])
async def test_a_result_that_is_long_on_its_way_is_known_to_be_charged(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, lose_answers: bool
) -> None:
    """The success has a commit of its own then: a task whose answer is gone has expired, and was paid for."""
    vendor.submit = finish_now
    door, add = Door(), house.library.add_bytes

    async def held(data: bytes, *, field: str) -> object:
        if field == "result":
            await door.wait()
        return await add(data, field=field)

    monkeypatch.setattr(house.library, "add_bytes", held)
    task_id = await house.create("plain")
    await house.reached(task_id, Stage.DOWNLOADING)
    await house.kill()
    if lose_answers:
        await asyncio.to_thread(shutil.rmtree, house.folder / "answers")
    await house.start()
    task = await house.ended(task_id)
    assert task.status.billing is Billing.CHARGED
    assert bool(task.status.images) is not lose_answers
    if lose_answers:
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.RESULT_EXPIRED
    assert len(vendor.paid) == 1


async def test_dying_again_and_again_while_recovering(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F14: recovery can itself be interrupted anywhere, and ends alike."""
    points = [BEFORE_INTENT[0], BEFORE_INTENT[1], AFTER_ACCEPTED, AFTER_POLL, BEFORE_COMMIT]
    task_id = None
    for point in points:
        with monkeypatch.context() as patch:
            killed = house.kill_at(point, patch)
            if task_id is None:
                task_id = await house.create()
            await killed.wait()
            await house.kill()
        await house.start()
    assert task_id is not None
    task = await house.ended(task_id)
    assert task.status.images
    assert vendor.paid == [f"{task_id}-1"]
    await house.events(task_id)


async def test_many_tasks_over_many_crashes(tmp_path: Path, vendor: Vendor) -> None:
    """Kills at moments that nobody chose: every task ends once, and no attempt is paid twice."""
    vendor.files[URL] = RESULT
    providers = ["plain", "keyed", "free"]
    async with House(tmp_path, vendor, concurrency=7) as house:
        ids = [await house.create(provider) for provider in providers * 8]
        for crash in range(12):
            for _ in range(5 + 23 * crash):
                await asyncio.sleep(0)
            await house.restart()
        tasks = [await house.ended(task_id) for task_id in ids]
        for task in tasks:
            await house.events(task.task_id)
            unkeyed = [key for key in vendor.paid if key.startswith(task.task_id)]
            if task.request.provider == "plain":
                assert len(unkeyed) <= 1
                assert task.status.images or task.status.error == transitions.SUBMIT_OUTCOME_UNKNOWN
                assert task.status.billing is not Billing.NOT_CHARGED or not unkeyed
            else:
                assert set(unkeyed) == {f"{task.task_id}-1"}
                assert task.status.images


async def test_a_model_that_left_ends_its_tasks(tmp_path: Path, vendor: Vendor) -> None:
    """A restart with other settings: nobody waits for a provider that is gone or serves the model no more."""
    door = Door()

    async def held(job: Job, report: Report) -> Accepted:
        await door.wait()
        return await accept(job, report)

    vendor.submit = held
    async with House(tmp_path, vendor) as house:
        running = await house.create("plain")
        await house.reached(running, Stage.SUBMITTING)
        await house.kill()
        del house.providers["plain"]
        await house.start()
        task = await house.ended(running)
        assert task.status.error is not None
        assert task.status.error.reason in (
            FailureReason.PROVIDER_DISABLED,
            FailureReason.SUBMIT_OUTCOME_UNKNOWN,
        )
        assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
        assert task.status.state is State.FAILED


async def test_a_vendors_id_is_never_taken_to_another_provider(tmp_path: Path, vendor: Vendor) -> None:
    """A restart after which another account serves the model: its vendor does not know this work."""
    async with House(tmp_path, vendor, providers=["plain", "keyed"]) as house:
        task_id = await house.create("plain")
        await house.reached(task_id, Stage.WAITING)
        await house.kill()
        house.rename = {"keyed/m": "plain/m", "plain/m": "plain/old"}
        await house.start()
        task = await house.ended(task_id)
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.PROVIDER_DISABLED
        assert vendor.polled == []
