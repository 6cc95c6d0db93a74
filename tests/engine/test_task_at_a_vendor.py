"""The life of a task at a vendor that behaves (DESIGN §4)."""

import errno
import hashlib
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.request import Content, ImageRef, Kind, Url
from imageedit_server.core.task import Outcome, Stage, State
from imageedit_server.engine.results import MAX_NO_HTTPS, RETRY_SECONDS
from imageedit_server.images.blobs import files
from imageedit_server.outbound.fetch import FetchFailed
from imageedit_server.providers.base import (
    Accepted,
    Finished,
    InProgress,
    Job,
    Output,
    Prepared,
    PrepareError,
    Report,
)
from tests.engine.house import (
    DONE,
    INPUT,
    RESULT,
    RESULT_ID,
    TENANT,
    House,
    Vendor,
    accept,
    finish_now,
    picture,
)


async def test_a_task_goes_its_way(house: House, vendor: Vendor) -> None:
    """One event per change, in the order of DESIGN §4; the vendor is paid once."""
    task_id = await house.create()
    task = await house.ended(task_id)
    assert await house.story(task_id) == [
        "QUEUED",
        "PREPARING",
        "SUBMITTING",
        "WAITING",
        "DOWNLOADING",
        "SUCCEEDED",
    ]
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert (task.status.billing, task.status.progress_percent) == (Billing.CHARGED, 100)
    [attempt] = task.status.attempts
    assert (attempt.outcome, attempt.vendor_task_id) == (Outcome.SUCCEEDED, f"v-{task_id}-1")
    assert vendor.paid == [f"{task_id}-1"]
    assert vendor.polled == [f"v-{task_id}-1"]
    assert len(await house.events(task_id)) == 6


async def test_a_vendor_that_answers_at_once_is_not_polled(house: House, vendor: Vendor) -> None:
    vendor.submit = finish_now
    task_id = await house.create()
    await house.ended(task_id)
    story = await house.story(task_id)
    assert story == ["QUEUED", "PREPARING", "SUBMITTING", "DOWNLOADING", "SUCCEEDED"]
    assert vendor.polled == []


async def test_a_free_provider_charges_nothing(house: House, vendor: Vendor) -> None:
    vendor.submit = finish_now
    task = await house.ended(await house.create("free"))
    assert task.status.billing is Billing.NOT_CHARGED
    assert task.status.attempts[0].billing is Billing.NOT_CHARGED


async def test_the_callers_own_picture_is_adopted_without_an_attempt(house: House, vendor: Vendor) -> None:
    fields = {"kind": Kind.DEFAULT_MODEL, "model": "", "user_id": "u", "angle": "front", "prompt": ""}
    task_id = await house.create(**fields)
    task = await house.ended(task_id)
    assert await house.story(task_id) == ["QUEUED", "PREPARING", "SUCCEEDED"]
    assert (task.status.attempts, task.status.billing) == ((), Billing.NOT_CHARGED)
    assert vendor.paid == []


async def test_the_job_is_what_was_asked_for(house: House, vendor: Vendor) -> None:
    jobs: list[Job] = []

    async def prepare(job: Job) -> Prepared:
        jobs.append(job)
        return Prepared(payload=job, warnings=("adapted",))

    vendor.prepare = prepare
    task_id = await house.create(prompt="brighter", n=2, size="4:3")
    task = await house.ended(task_id)
    [job] = jobs
    assert (job.request.prompt, job.request.n, job.size) == ("brighter", 2, "4:3")
    assert await job.images[0].read() == INPUT
    assert job.attempt_key == f"{task_id}-1"
    assert job.deadline == task.deadline
    assert job.callback_url == ""  # nobody could be reached there
    assert task.status.warnings == (
        "adapted",
        "The provider sent 1 picture where 2 were asked for.",
    )


async def test_warnings_are_said_once(house: House, vendor: Vendor) -> None:
    async def prepare(job: Job) -> Prepared:
        return Prepared(payload=job, warnings=("a", "b"))

    async def finish(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=DONE.outputs, warnings=("b", "c"))

    vendor.prepare, vendor.poll = prepare, finish
    task = await house.ended(await house.create())
    assert task.status.warnings == ("a", "b", "c")


# Waiting


async def test_the_vendor_is_polled_on_its_schedule(house: House, vendor: Vendor) -> None:
    """VENDORS §2.2: every 2.5 s in the first 30 s, then 7, after two minutes 20."""
    times: list[float] = []

    async def poll(vendor_task_id: str, report: Report) -> InProgress | Finished:
        times.append((house.clock.now() - submitted).total_seconds())
        return DONE if times[-1] > 200 else InProgress()

    vendor.poll = poll
    task_id = await house.create()
    submitted = (await house.reached(task_id, Stage.WAITING)).status.attempts[0].submit_time
    await house.ended(task_id)
    gaps = [round(after - before, 2) for before, after in zip([0, *times], times, strict=False)]
    assert gaps[:12] == [2.5] * 12
    assert set(gaps[12:25]) == {7.0}
    assert set(gaps[26:]) == {20.0}


@pytest.mark.parametrize(
    "trouble", [RuntimeError("x"), TimeoutError("x"), NotImplementedError(), ValueError("\udcff")]
)
async def test_a_poll_that_fails_is_asked_again(house: House, vendor: Vendor, trouble: Exception) -> None:
    """F42, F45: nothing that goes wrong with a read harms the task."""

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        if len(vendor.polled) < 4:
            raise trouble
        return DONE

    vendor.poll = poll
    task = await house.ended(await house.create())
    assert task.status.images
    assert len(vendor.polled) == 4
    assert len(vendor.paid) == 1


async def test_a_poll_that_hangs_is_asked_again(house: House, vendor: Vendor) -> None:
    """F43: a poll has 10 s."""
    started = house.clock.now()

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        if len(vendor.polled) == 1:
            await house.clock.sleep(10_000)
        return DONE

    vendor.poll = poll
    task = await house.ended(await house.create())
    assert task.status.images
    assert (house.clock.now() - started).total_seconds() == 2.5 + 10 + 2.5


async def test_what_the_vendor_fails_fails(house: House, vendor: Vendor) -> None:
    async def poll(vendor_task_id: str, report: Report) -> Failure:
        return Failure(
            reason=FailureReason.CONTENT_REFUSED,
            message="The provider refused the content.",
            provider_code="501",
            provider_message="nsfw",
            retryable=True,
        )

    vendor.poll = poll
    task = await house.ended(await house.create())
    error = task.status.error
    assert error is not None
    assert (error.reason, error.provider_code, error.provider_message, error.retryable) == (
        FailureReason.CONTENT_REFUSED,
        "501",
        "nsfw",
        True,
    )
    assert task.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert task.status.attempts[0].outcome is Outcome.FAILED
    assert task.status.attempts[0].error == error


async def test_progress_is_clamped_and_never_falls(house: House, vendor: Vendor) -> None:
    """F48: whatever the vendor says, watchers see 0 to 99 rising, and 100 at success alone."""
    told = [10, 50, 30, -5, 99, 10**9, 100, 0, None]

    async def poll(vendor_task_id: str, report: Report) -> InProgress | Finished:
        return InProgress(progress_percent=told[at]) if (at := len(vendor.polled) - 1) < len(told) else DONE

    vendor.poll = poll
    task_id = await house.create()
    await house.ended(task_id)
    seen = [event.task.status.progress_percent for event in await house.events(task_id)]
    assert sorted(set(seen)) == [0, 10, 50, 99, 100]
    assert seen.count(99) == 2  # its own event, and DOWNLOADING: no event for what is no news
    assert seen.count(100) == 1


async def test_reports_of_the_paid_call_are_seen(house: House, vendor: Vendor) -> None:
    async def submit(job: Job, report: Report) -> Finished:
        await report(progress_percent=40)
        await report(preview=picture("blue"))
        await report(preview=b"not a picture")
        await report(progress_percent=70, preview=picture("green"))
        await report()
        return DONE

    vendor.submit = submit
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.progress_percent == 100
    assert len(task.status.previews) == 2
    for image in task.status.previews:  # previews are the tenant's to look at
        assert await house.pictures.find(TENANT, image.image_id) == image
    events = await house.events(task_id)
    assert [event.task.status.progress_percent for event in events][3:5] == [40, 40]


# Results


async def test_results_are_the_tenants_in_their_order(house: House, vendor: Vendor) -> None:
    colours = ("red", "green", "blue")

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        outputs = (Output(content=picture(colour), revised_prompt=colour) for colour in colours)
        return Finished(outputs=tuple(outputs), vendor_request_id="r")

    vendor.poll = poll
    task = await house.ended(await house.create(n=3))
    assert [image.revised_prompt for image in task.status.images] == list(colours)
    for image, colour in zip(task.status.images, colours, strict=True):
        found = await house.pictures.find(TENANT, image.image_id)
        assert b"".join([chunk async for chunk in house.pictures.read(found, 0)]) == picture(colour)


async def test_a_results_url_is_shown_without_its_query(house: House, vendor: Vendor) -> None:
    url = "https://cdn.test/a.png?signature=secret#x"
    vendor.files[url] = RESULT

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=(Output(url=url),))

    vendor.poll = poll
    task = await house.ended(await house.create())
    assert [image.source_url for image in task.status.images] == ["https://cdn.test/a.png"]
    assert "secret" not in repr(await house.events(task.task_id))


BAD_RESULTS = {
    "no picture at all": (),
    "not a picture": (Output(content=b"<html>"),),
    "one bad of two": (Output(content=RESULT), Output(content=b"GIF89a")),
    "cut short": (Output(content=RESULT[:-8]),),
    "empty": (Output(),),
    "too large": (Output(content=picture(size=(200, 200))),),
}


@pytest.mark.parametrize("outputs", BAD_RESULTS.values(), ids=BAD_RESULTS)
async def test_what_is_no_picture_is_no_success(
    house: House, vendor: Vendor, outputs: tuple[Output, ...]
) -> None:
    """P19, F47, F52: the vendor said success, so it may bill; the task says what is wrong."""

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=outputs)

    vendor.poll = poll
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.PROVIDER_BAD_RESULT
    assert task.status.images == ()
    assert task.status.billing is Billing.CHARGED
    assert (await house.story(task_id))[-2:] == ["DOWNLOADING", "FAILED"]
    assert len(vendor.paid) == 1


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_result_that_is_gone_is_asked_for_once_more(
    house: House, vendor: Vendor, status: int
) -> None:
    """F51: the vendor may know a fresh address; if that is gone too, so is the result."""
    addresses = ["https://cdn.test/1", "https://cdn.test/2"]
    vendor.files = {addresses[0]: status, addresses[1]: RESULT}

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=(Output(url=addresses[min(len(vendor.polled), 2) - 1]),))

    vendor.poll = poll
    assert (await house.ended(await house.create())).status.images
    vendor.files[addresses[1]] = status
    task = await house.ended(await house.create())
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.RESULT_EXPIRED
    assert task.status.billing is Billing.CHARGED


async def test_a_result_that_is_gone_is_asked_for_until_its_vendor_can_be_asked(
    house: House, vendor: Vendor
) -> None:
    """A poll that fails, or finds the work running once more, proves no result gone (F47)."""
    vendor.files = {"https://cdn.test/1": 410, "https://cdn.test/2": RESULT}
    said: list[Finished | InProgress | OSError] = [
        Finished(outputs=(Output(url="https://cdn.test/1"),)),
        OSError("no descriptor"),
        InProgress(),
        OSError("no descriptor"),
        Finished(outputs=(Output(url="https://cdn.test/2"),)),
    ]

    async def poll(vendor_task_id: str, report: Report) -> Finished | InProgress:
        answer = said.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    vendor.poll = poll
    task = await house.ended(await house.create())
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert len(vendor.polled) == 5


@pytest.mark.parametrize("status", [403, 404])
async def test_a_result_that_is_not_there_yet_is_waited_for(
    house: House, vendor: Vendor, status: int
) -> None:
    """Stores say so of what they will have in a moment: asked again for 38 s, of every vendor's results."""
    url = "https://cdn.test/1"
    vendor.files[url] = [*[status] * len(RETRY_SECONDS), RESULT]

    async def finish(job: Job, report: Report) -> Finished:
        return Finished(outputs=(Output(url=url),))

    vendor.submit = finish
    began = house.clock.now()
    task = await house.ended(await house.create())
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    assert 38 <= (house.clock.now() - began).total_seconds() < 60
    assert len(vendor.paid) == 1


async def test_a_result_at_an_http_address_without_https_is_told_so(house: House, vendor: Vendor) -> None:
    """The host may be away for a moment; that it has no https is believed after 78 s."""
    url = "http://cdn.test/1?signature=secret"
    away = FetchFailed("Nobody there. It was tried as https instead of http.", tried_as_https=True)
    vendor.files[url] = [away] * MAX_NO_HTTPS

    async def finish(job: Job, report: Report) -> Finished:
        return Finished(outputs=(Output(url=url),))

    vendor.submit = finish
    task = await house.ended(await house.create())
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.PROVIDER_BAD_RESULT
    assert task.status.error.message == (
        "The provider's result is at an http address. Nobody there. It was tried as https instead of http."
    )
    assert task.status.billing is Billing.CHARGED
    vendor.files[url] = [*[away] * (MAX_NO_HTTPS - 1), RESULT]
    assert (await house.ended(await house.create())).status.images


@pytest.mark.parametrize("submit", [accept, finish_now], ids=["polled", "at once"])
async def test_a_result_of_another_size_is_told_in_numbers(house: House, vendor: Vendor, submit: Any) -> None:
    """It is paid for and taken; what was asked for is not what the caller has."""
    vendor.submit = submit
    task = await house.ended(await house.create(size="64x32"))
    [image] = task.status.images
    assert task.status.warnings[-1] == f"Asked 64x32, got {image.width}x{image.height} PNG."


async def test_a_transfer_that_breaks_is_tried_again(house: House, vendor: Vendor) -> None:
    url = "https://cdn.test/1"
    vendor.files[url] = 503

    async def poll(vendor_task_id: str, report: Report) -> Finished:
        return Finished(outputs=(Output(url=url),))

    vendor.poll = poll
    task_id = await house.create()
    await house.reached(task_id, Stage.DOWNLOADING)
    await house.clock.sleep(60)
    assert (await house.get(task_id)).status.stage is Stage.DOWNLOADING
    vendor.files[url] = RESULT
    assert (await house.ended(task_id)).status.images
    assert len(vendor.polled) == 1


# Inputs that are URLs


async def test_a_picture_behind_a_url_is_fetched_while_preparing(house: House, vendor: Vendor) -> None:
    vendor.files["https://h.test/a"] = INPUT
    task_id = await house.create(images=(Url("https://h.test/a"), Content(INPUT)), size="")
    task = await house.ended(task_id)
    assert task.status.images
    assert task.status.size == "auto"
    assert (await house.story(task_id))[:3] == ["QUEUED", "PREPARING", "SUBMITTING"]


async def test_what_was_fetched_goes_with_the_run_that_fetched_it(house: House, vendor: Vendor) -> None:
    """It has no row, so nobody could erase it with its task; what came inline stays as long as that."""
    behind, inline = picture(size=(31, 17)), picture(size=(17, 31))
    vendor.files["https://h.test/a"] = behind
    await house.ended(await house.create(images=(Url("https://h.test/a"), Content(inline)), size=""))
    await house.clock.sleep(1)
    names = {path.name for path in house.images.rglob("*")}
    assert hashlib.sha256(inline).hexdigest() in names
    assert hashlib.sha256(behind).hexdigest() not in names


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (404, FailureReason.INPUT_FETCH_FAILED),
        (500, FailureReason.INPUT_FETCH_FAILED),
        (b"<html>", FailureReason.IMAGE_UNDECODABLE),
        (picture(size=(200, 200)), FailureReason.IMAGE_TOO_LARGE),
    ],
)
async def test_a_url_that_brings_no_picture_fails_the_task_before_it_is_paid(
    house: House, vendor: Vendor, content: bytes | int, reason: FailureReason
) -> None:
    vendor.files["https://h.test/a"] = content
    task = await house.ended(await house.create(images=(Url("https://h.test/a"),)))
    assert task.status.error is not None
    assert task.status.error.reason is reason
    assert (task.status.billing, task.status.attempts, vendor.paid) == (Billing.NOT_CHARGED, (), [])


async def test_limits_hold_for_what_is_behind_a_url(house: House, vendor: Vendor) -> None:
    """What could not be checked at the call is checked before anyone pays."""
    vendor.files["https://h.test/mask"] = picture(size=(9, 9))
    task = await house.ended(await house.create(has_mask=True, mask=Url("https://h.test/mask")))
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.INVALID_FIELD
    assert "mask" in task.status.error.message
    assert vendor.paid == []


async def test_what_cannot_be_prepared_is_not_paid(house: House, vendor: Vendor) -> None:
    async def prepare(job: Job) -> Prepared:
        raise PrepareError(FailureReason.INSTRUCTION_NOT_UNDERSTOOD, "What?")

    vendor.prepare = prepare
    task_id = await house.create()
    task = await house.ended(task_id)
    assert task.status.error is not None
    assert task.status.error.reason is FailureReason.INSTRUCTION_NOT_UNDERSTOOD
    assert await house.story(task_id) == ["QUEUED", "PREPARING", "FAILED"]
    assert (task.status.billing, vendor.paid) == (Billing.NOT_CHARGED, [])


async def test_one_id_for_two_attempts_is_nobodys(house: House, vendor: Vendor) -> None:
    """F46: who can tell whose work it names? The second task fails, and is not sent again."""

    async def submit(job: Job, report: Report) -> Accepted:
        return Accepted(vendor_task_id="v")

    vendor.submit = submit
    first = await house.ended(await house.create())
    second = await house.ended(await house.create())
    assert first.status.images
    assert second.status.error is not None
    assert second.status.error.reason is FailureReason.PROVIDER_BAD_RESULT
    assert second.status.billing is Billing.MAY_HAVE_BEEN_CHARGED
    assert len(vendor.paid) == 2


async def test_an_input_that_was_damaged_since_ends_the_task_unpaid(house: House, vendor: Vendor) -> None:
    """What is sent to a vendor is what was looked at, or nothing."""

    async def prepare(job: Job) -> Prepared:
        await job.images[0].read()
        return Prepared(payload=job)

    vendor.prepare = prepare
    looked_at = await house.create()
    assert (await house.ended(looked_at)).status.state is State.SUCCEEDED
    [stored] = (await house.get(looked_at)).request.input_images()
    file = house.images / stored.image_id[7:9] / stored.image_id[7:]
    for damage in (lambda: file.write_bytes(INPUT + b"!"), file.unlink):
        damage()
        task = await house.ended(await house.create(images=(ImageRef(stored.image_id),)))
        assert task.status.error == Failure(
            reason=FailureReason.IMAGE_UNDECODABLE, message="A stored picture is damaged."
        )
        assert (task.status.billing, task.status.attempts) == (Billing.NOT_CHARGED, ())


@pytest.mark.parametrize("error", [errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EACCES])
async def test_an_input_that_cannot_be_read_just_now_waits(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """F27: nothing is paid yet, so that it is tried again like all that is free."""
    errors = [OSError(error, "just now"), OSError(error, "and again")]

    def open_file(path: Path) -> FileIO:
        if errors:
            raise errors.pop()
        return FileIO(path)

    async def prepare(job: Job) -> Prepared:
        await job.images[0].read()
        return Prepared(payload=job)

    vendor.prepare = prepare
    monkeypatch.setattr(files, "FileIO", open_file)
    task = await house.ended(await house.create())
    assert task.status.state is State.SUCCEEDED
    assert errors == []
    assert len(vendor.paid) == 1
