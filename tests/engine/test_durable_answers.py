"""What a vendor answered is durable before it counts, whatever became of the process that took it (P31)."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.answers import disk_calls, files, reading
from imageedit_server.answers.layout import BODY_AT, END_AT, Asked, asked_record
from imageedit_server.answers.reading import Stored, read_file, stored_in
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.task import Attempt, Outcome, Stage, State, Task
from imageedit_server.outbound.answers import Answer, PaidCall
from imageedit_server.providers.base import Finished, Job, NotProcessed, Output, Prepared, Refused, Report
from imageedit_server.telemetry.metrics import REGISTRY
from imageedit_server.upkeep.answers import KeptAnswers
from imageedit_server.upkeep.retention import Retention
from tests.engine.house import (
    DONE,
    MINUTE,
    RESULT_ID,
    TENANT,
    Door,
    House,
    MortalDatabase,
    Puppet,
    Submit,
    Vendor,
    accept,
    finish_now,
)

NO = Failure(reason=FailureReason.CONTENT_REFUSED, message="No.")


@pytest.fixture
async def house(tmp_path: Path, vendor: Vendor) -> AsyncIterator[House]:
    vendor.submit = finish_now
    async with House(tmp_path / "house", vendor) as house:
        yield house


def stored(house: House) -> list[Stored]:
    return list(stored_in(house.folder / "answers"))


async def answered_and_killed(
    house: House, monkeypatch: pytest.MonkeyPatch, point: str = "answer_understood", **fields: Any
) -> str:
    """Let an answer come and the process die before anything is done about it."""
    killed = house.kill_at(point, monkeypatch)
    task_id = await house.create(**fields)
    await killed.wait()
    await house.kill()
    assert [each.asked.task_id for each in stored(house)] == [task_id]
    return task_id


async def fully_late(house: House, task_id: str) -> Task:
    """Wait until a late image has come."""
    while not (task := await house.get(task_id)).status.attempts[0].late_images:
        await house.clock.sleep(1)
    return task


async def test_nothing_is_left_of_an_answer_whose_picture_is_home(house: House) -> None:
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.images
    answer = (await house.get(task_id)).status.attempts[0].answer
    assert answer is not None
    assert (answer.status, answer.kept) == (200, False)
    await house.answers.aclose()
    assert stored(house) == []


@pytest.mark.parametrize("away", [2 * MINUTE, 10 * MINUTE], ids=["within the grace", "long after it"])
async def test_a_deadline_that_passed_while_the_server_was_away(
    house: House, monkeypatch: pytest.MonkeyPatch, away: timedelta
) -> None:
    """The facts come before the first claim, which ends what is overdue."""
    task_id = await answered_and_killed(house, monkeypatch, timeout=1.5 * MINUTE)
    await house.clock.sleep(away.total_seconds() - 5)
    await house.start()
    task = await house.ended(task_id)
    if away == 2 * MINUTE:
        assert task.status.state is State.SUCCEEDED
    else:
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.DEADLINE_EXCEEDED
        task = await fully_late(house, task_id)
        assert [image.image_id for image in task.status.attempts[0].late_images] == [RESULT_ID]
    assert task.status.billing is Billing.CHARGED
    assert len(house.vendor.paid) == 1
    await house.answers.aclose()
    assert stored(house) == []


async def test_a_task_that_was_cancelled_keeps_what_was_paid_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await answered_and_killed(house, monkeypatch)
    await house.start(serve=False)
    await house.tasks.cancel(TENANT, task_id)
    await house.answers.aclose()
    await house.database.close()
    await house.start()
    task = await fully_late(house, task_id)
    assert task.status.state is State.CANCELLED
    assert task.status.attempts[0].billing is Billing.CHARGED


async def test_a_refusal_is_heard_after_the_restart(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(job: Job, report: Report) -> Finished:
        raise Refused(NO)

    house.vendor.submit = refuse
    task_id = await answered_and_killed(house, monkeypatch, "answer_whole")
    house.vendor.submit = finish_now
    await house.start()
    task = await house.ended(task_id)
    assert task.status.error == NO
    assert task.status.billing is Billing.NOT_CHARGED
    assert len(house.vendor.paid) == 1


async def test_what_was_not_processed_is_sent_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_now(job: Job, report: Report) -> Finished:
        raise NotProcessed(NO)

    house.vendor.submit = not_now
    task_id = await answered_and_killed(house, monkeypatch, "answer_whole")
    house.vendor.submit = finish_now
    await house.start()
    task = await house.ended(task_id)
    assert [each.outcome for each in task.status.attempts] == [Outcome.NOT_PROCESSED, Outcome.SUCCEEDED]
    assert house.vendor.paid == [f"{task_id}-1", f"{task_id}-2"]


async def test_an_answer_that_nobody_can_read_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(house.catalog.providers["plain"].adapter), "understand", _break_off)
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    answer = (await house.get(task_id)).status.attempts[0].answer
    assert answer is not None
    assert answer.kept
    assert [(each.asked.task_id, each.tried) for each in stored(house)] == [(task_id, "1")]
    await house.restart()
    await house.clock.sleep(60)
    assert [each.tried for each in stored(house)] == ["1"]


def _break_off(self: object, answer: object) -> Finished:
    raise KeyError("data")


async def test_a_picture_that_is_none_is_kept_with_its_answer(house: House) -> None:
    async def nonsense(job: Job, report: Report) -> Finished:
        return Finished(outputs=(Output(content=b"no picture"),))

    house.vendor.submit = nonsense
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.PROVIDER_BAD_RESULT
    assert task.status.billing is Billing.CHARGED
    assert [each.asked.task_id for each in stored(house) if each.tried] == [task_id]


async def test_without_a_place_nothing_is_paid_and_the_task_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_calls, "free_bytes", lambda descriptor: 0)
    task_id = await house.create()
    while len(await house.events_now(task_id)) < len(["QUEUED", "PREPARING", "QUEUED"]):
        await house.clock.sleep(0.1)
    assert house.vendor.paid == []
    monkeypatch.undo()
    task = await house.ended(task_id)
    assert task.status.images
    assert [attempt.number for attempt in task.status.attempts] == [1]
    assert house.vendor.paid == [f"{task_id}-1"]


async def test_without_a_place_until_the_deadline_nothing_is_charged(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_calls, "free_bytes", lambda descriptor: 0)
    task = await house.ended(await house.create(timeout=MINUTE))
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.DEADLINE_EXCEEDED
    assert (task.status.attempts, task.status.billing) == ((), Billing.NOT_CHARGED)
    assert house.vendor.paid == []


async def test_a_brief_that_no_place_has_room_for_is_not_paid(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = Puppet.paid_call

    def long(self: Puppet, prepared: Prepared, report: Report) -> PaidCall:
        return replace(described(self, prepared, report), brief={"words": "x" * BODY_AT})

    monkeypatch.setattr(Puppet, "paid_call", long)
    task = await house.ended(await house.create(timeout=MINUTE))
    assert task.status.error is not None
    assert "do not fit" in task.status.error.message
    assert (task.status.attempts, house.vendor.paid) == ((), [])


async def test_an_answer_under_a_restored_database_is_nobodys(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The copy has no such attempt, or one of another token under the same number."""
    database = house.folder
    task_id = await house.create()
    await house.ended(task_id)
    await house.kill()
    backup = tmp_path / "backup"
    await asyncio.to_thread(shutil.copytree, database, backup)
    await house.start()
    newer = await answered_and_killed(house, monkeypatch)
    answers = await asyncio.to_thread(shutil.copytree, database / "answers", tmp_path / "answers")
    await asyncio.to_thread(shutil.rmtree, database)
    await asyncio.to_thread(shutil.copytree, backup, database)
    await asyncio.to_thread(shutil.rmtree, database / "answers")
    await asyncio.to_thread(shutil.copytree, answers, database / "answers")
    await house.start()
    await house.ended(await house.create())  # claimed after the answers were matched
    await house.answers.aclose()
    assert stored(house) == []
    assert f"nobody here asked for it: task {newer}" in caplog.text


async def test_an_answer_of_another_token_is_not_believed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await answered_and_killed(house, monkeypatch)
    found = stored(house)[0]
    forged = replace(found.asked, token_sha256="0" * 64)
    await asyncio.to_thread(_write_asked, found.path, forged)
    await house.start()
    task = await house.ended(task_id)
    assert task.status.images == ()
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED


def _write_asked(path: Path, asked: Asked) -> None:
    with path.open("r+b") as file:
        file.write(asked_record(asked))


async def test_an_id_learnt_from_a_callback_wins_over_an_answer_that_was_not_read(
    tmp_path: Path, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.submit = accept
    async with House(tmp_path, vendor, public_url="https://edits.test") as house:
        task_id = await answered_and_killed(house, monkeypatch, "answer_whole", provider="correlated")
        await house.start(serve=False)
        token = vendor.callback_urls[0].rsplit("/", 1)[1]
        await house.callbacks.receive("correlated", token, {}, b"vendor-7")
        await house.answers.aclose()
        await house.database.close()
        await house.start()
        task = await house.ended(task_id)
        assert task.status.images
        assert vendor.polled == ["vendor-7"]


async def test_an_answer_that_still_comes_is_not_read_by_another_run(house: House) -> None:
    """A lease that ran out while the vendor was at it: what came so far is not the answer."""
    door = Door()

    async def slow(job: Job, report: Report) -> Finished:
        await door.wait()
        return DONE

    house.vendor.submit = slow
    task_id = await house.create()
    await house.reached(task_id, Stage.SUBMITTING)
    await door.arrived.wait()
    assert stored(house) == []
    door.open()
    assert (await house.ended(task_id)).status.images


@pytest.mark.parametrize("submit", [finish_now, accept])
async def test_a_newer_version_reads_what_was_kept(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, submit: Submit
) -> None:
    """By itself, once: what it finds is a late image of a task that ended."""
    house.vendor.submit = submit
    monkeypatch.setattr(type(house.catalog.providers["plain"].adapter), "understand", _break_off)
    task_id = await house.create()
    await house.ended(task_id)
    await house.kill()
    monkeypatch.undo()
    house.version = "2"
    caplog.set_level("INFO")
    await house.start()
    task = await fully_late(house, task_id)
    assert [image.image_id for image in task.status.attempts[0].late_images] == [RESULT_ID]
    assert task.status.attempts[0].billing is Billing.CHARGED
    assert task.status.attempts[0].answer is not None
    assert not task.status.attempts[0].answer.kept
    assert (task.status.state, len(house.vendor.paid)) == (State.FAILED, 1)
    await house.answers.aclose()
    assert stored(house) == []
    assert "kept answers read again: 1, recovered: 1" in caplog.text


@pytest.mark.parametrize("submit", [finish_now, accept])
async def test_a_late_picture_is_never_that_of_a_call_of_unknown_outcome(
    house: House, monkeypatch: pytest.MonkeyPatch, submit: Submit
) -> None:
    """After no commit, so that neither a reader nor a crash meets the one without the other."""
    house.vendor.submit = submit
    with monkeypatch.context() as older:
        older.setattr(Puppet, "understand", _break_off)
        task_id = await house.create()
        await house.ended(task_id)
        await house.kill()
    after_commits: list[Attempt] = []
    record = MortalDatabase.record

    async def recorded(database: MortalDatabase, *unit: Any, **named: Any) -> Any:
        result = await record(database, *unit, **named)
        after_commits.append((await house.get(task_id)).status.attempts[0])
        return result

    monkeypatch.setattr(MortalDatabase, "record", recorded)
    house.version = "2"
    await house.start()
    await fully_late(house, task_id)
    late = [attempt for attempt in after_commits if attempt.late_images]
    assert late
    assert {attempt.outcome for attempt in late} == {Outcome.SUCCEEDED}
    assert not any(attempt.answer and attempt.answer.kept for attempt in late)


async def test_a_newer_version_that_cannot_read_it_either_tries_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Puppet, "understand", _break_off)
    task_id = await house.create()
    await house.ended(task_id)
    for version in ("2", "2", "3"):
        await house.kill()
        house.version = version
        await house.start()
        await house.clock.sleep(60)
        assert [each.tried for each in stored(house)] == [version]


async def test_kept_answers_are_erased_with_their_task(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Puppet, "understand", _break_off)
    kept, erased = await house.create(), await house.create()
    await house.ended(kept)
    await house.ended(erased)
    await house.answers.erase(erased)
    assert [each.asked.task_id for each in stored(house)] == [kept]


async def test_kept_answers_go_when_their_task_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Puppet, "understand", _break_off)
    task_id = await house.create()
    await house.ended(task_id)
    sweep = KeptAnswers(house.database, house.answers, house.clock).sweep
    assert await sweep() == 0
    retention = Retention(house.database, house.clock, {State.FAILED: timedelta(0)})
    await house.clock.sleep(1)
    assert await retention.forget() == 1
    assert await sweep() == 1
    await house.answers.aclose()
    assert stored(house) == []


@pytest.mark.parametrize("lost", [0, 1], ids=["all of the body", "all but a byte of it"])
async def test_without_its_end_an_answer_counts_by_what_it_holds(
    house: House, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    """F94: killed before the end was stored, or the power went before it was on the disk."""
    task_id = await answered_and_killed(house, monkeypatch)
    await asyncio.to_thread(_lose_the_end, stored(house)[0].path, lost)
    await house.start()
    task = await house.ended(task_id)
    assert len(house.vendor.paid) == 1
    if lost:
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.SUBMIT_OUTCOME_UNKNOWN
        assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
        assert [each.tried for each in stored(house)] == ["1"]
    else:
        assert [image.image_id for image in task.status.images] == [RESULT_ID]


def _lose_the_end(path: Path, lost_bytes: int) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - lost_bytes)
        file.seek(END_AT)
        file.write(bytes(BODY_AT - END_AT))


@pytest.mark.parametrize("times", [3, 1000], ids=["for a while", "for good"])
async def test_a_file_that_cannot_be_read_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """A full table of descriptors passes; where the disk is broken, the task says that it may have cost."""
    task_id = await answered_and_killed(house, monkeypatch)
    left = [times]

    def failing(path: Path) -> Answer | None:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return read_file(path)

    monkeypatch.setattr(files, "read_file", failing)
    await house.start()
    task = await house.ended(task_id)
    assert bool(task.status.images) is (times == 3)
    assert task.status.billing is (Billing.CHARGED if times == 3 else Billing.MAY_HAVE_BEEN_CHARGED)
    assert len(house.vendor.paid) == 1


# A disk that does not give back what an earlier run left


async def test_nothing_is_claimed_before_the_folder_of_the_answers_was_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim would end what the answer speaks of, or pay for it again; it is held up, and says so."""
    task_id = await answered_and_killed(house, monkeypatch)
    disk = BrokenDisk(monkeypatch, house.folder / "answers")
    await house.start()
    await house.clock.sleep(120)
    assert not (await house.get(task_id)).status.state.terminal
    trouble = house.dispatcher.left_out.trouble()
    assert str(disk.path) in trouble
    assert "Input/output error" in trouble
    disk.mend()
    task = await house.ended(task_id)
    assert task.status.state is State.SUCCEEDED
    assert house.dispatcher.left_out.trouble() == ""
    assert len(house.vendor.paid) == 1


async def test_an_answer_that_was_left_out_is_read_as_soon_as_it_can_be(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file holds up nobody; its task ends as unknown, and what was paid for comes late."""
    task_id = await answered_and_killed(house, monkeypatch)
    disk = BrokenDisk(monkeypatch, stored(house)[0].path)
    await house.start()
    task = await house.ended(task_id)
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert REGISTRY.get_sample_value("imageedit_answers_left_out") == 1
    assert str(disk.path) in house.dispatcher.left_out.alarm()
    disk.mend()
    task = await fully_late(house, task_id)
    assert [image.image_id for image in task.status.attempts[0].late_images] == [RESULT_ID]
    assert task.status.attempts[0].billing is Billing.CHARGED
    assert REGISTRY.get_sample_value("imageedit_answers_left_out") == 0
    assert house.dispatcher.left_out.alarm() == ""


@pytest.mark.parametrize("restart", [False, True], ids=["by the same run", "by the next one"])
async def test_what_the_disk_did_not_give_back_was_tried_by_no_version(
    house: House, monkeypatch: pytest.MonkeyPatch, restart: bool
) -> None:
    """Kept as an answer that this version cannot read, it would wait for another version."""
    task_id = await answered_and_killed(house, monkeypatch)
    broken = True

    def failing(path: Path) -> Answer | None:
        if broken:
            raise OSError(errno.EIO, "Input/output error")
        return read_file(path)

    monkeypatch.setattr(files, "read_file", failing)
    await house.start()
    task = await house.ended(task_id)
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    if restart:
        await house.kill()
        await house.start()
    broken = False
    task = await fully_late(house, task_id)
    assert [image.image_id for image in task.status.attempts[0].late_images] == [RESULT_ID]
    assert len(house.vendor.paid) == 1


class BrokenDisk:
    """Gives back neither a folder's names nor a file's bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path = path
        self._broken = True
        monkeypatch.setattr(reading, "PAUSES_SECONDS", (0,) * len(reading.PAUSES_SECONDS))
        monkeypatch.setattr(Path, "iterdir", self._unless_broken(Path.iterdir))
        monkeypatch.setattr(os, "open", self._unless_broken(os.open))

    def mend(self) -> None:
        """Let it work again."""
        self._broken = False

    def _unless_broken(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def calling(path: object, *args: Any, **options: Any) -> Any:
            if self._broken and path == self.path:
                raise OSError(errno.EIO, "Input/output error", str(path))
            return call(path, *args, **options)

        return calling
