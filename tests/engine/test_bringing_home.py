"""What is paid for is brought home whatever goes wrong here; only what is wrong with the picture ends it."""

import asyncio
import errno
import os
from collections.abc import AsyncIterable, Callable
from itertools import pairwise
from typing import Any

import pytest

from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.task import State
from imageedit_server.engine.results import MAX_LOST_WORKERS, RETRY_SECONDS
from imageedit_server.providers.base import Finished, Job, Output, Report
from imageedit_server.runtime.workers import JobFailed, Overran, WorkerDied, WorkersBroken
from tests.engine.house import DONE, RESULT, RESULT_ID, House, InlineWorkers, Vendor

SIGNED = "https://cdn.test/1?signature=secret"
BY_URL = Finished(outputs=(Output(url=SIGNED),))


async def cancelled_within() -> None:
    """Wait for something that somebody else cancels, and not the one who waits."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


async def too_late() -> None:
    async with asyncio.timeout(0):
        await asyncio.get_running_loop().create_future()


def raises(error: BaseException) -> Callable[[], Any]:
    async def fail() -> None:
        raise error

    return fail


PASSING: dict[str, Callable[[], Any]] = {
    **{
        errno.errorcode[number]: raises(OSError(number, os.strerror(number)))
        for number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOENT, errno.EACCES, errno.ESTALE)
    },
    "a full disk": raises(Refusal(Reason.STORAGE_FULL, "Full.")),
    "a closing pool": raises(Refusal(Reason.DRAINING, "The server stops.")),
    "no memory": raises(MemoryError()),
    "no thread": raises(RuntimeError("can't start new thread")),
    "a defect": raises(KeyError("x")),
    "a limit within": too_late,
    "a cancelled wait within": cancelled_within,
}


@pytest.mark.parametrize("finished", [DONE, BY_URL], ids=["bytes", "a URL"])
@pytest.mark.parametrize("trouble", PASSING)
async def test_what_passes_is_waited_for(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, trouble: str, finished: Finished
) -> None:
    """Six times in a row: after 1, 2, 5, 10, 20 and 20 s the picture is home (F27)."""
    vendor.files[SIGNED] = RESULT
    tries: list[float] = []
    add = house.library.add

    async def troubled(chunks: AsyncIterable[bytes], *, field: str, **options: Any) -> Any:
        if field == "result":
            tries.append(asyncio.get_running_loop().time())
            if len(tries) <= 6:
                await PASSING[trouble]()
        return await add(chunks, field=field, **options)

    async def finish(job: Job, report: Report) -> Finished:
        return finished

    monkeypatch.setattr(house.library, "add", troubled)
    vendor.submit = finish
    task = await house.ended(await house.create())
    assert [image.image_id for image in task.status.images] == [RESULT_ID]
    waited = [round(after - before, 3) for before, after in pairwise(tries)]
    assert waited == [*RETRY_SECONDS, RETRY_SECONDS[-1]]
    assert len(vendor.paid) == 1


@pytest.mark.parametrize(
    "error",
    [WorkerDied("was killed"), Overran("took too long"), MemoryError()],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("losses", [MAX_LOST_WORKERS - 1, MAX_LOST_WORKERS])
async def test_a_lost_worker_says_nothing_but_the_fifth(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, error: Exception, losses: int
) -> None:
    """Something else may have ended it; what ends one after the other is no picture for us (P18)."""
    left = losses
    run = InlineWorkers.run

    async def lost(workers: InlineWorkers, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if vendor.paid and left:
            left -= 1
            raise error
        return await run(workers, function, *args, **kwargs)

    async def finish(job: Job, report: Report) -> Finished:
        return DONE

    monkeypatch.setattr(InlineWorkers, "run", lost)
    vendor.submit = finish
    task = await house.ended(await house.create())
    assert task.status.billing is Billing.CHARGED
    if losses < MAX_LOST_WORKERS:
        assert [image.image_id for image in task.status.images] == [RESULT_ID]
    else:
        assert task.status.error is not None
        assert task.status.error.reason is FailureReason.PROVIDER_BAD_RESULT


@pytest.mark.parametrize("error", [WorkersBroken(), JobFailed("Traceback …")], ids=repr)
async def test_a_pool_without_workers_is_waited_for(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    left = 2 * MAX_LOST_WORKERS
    run = InlineWorkers.run

    async def broken(workers: InlineWorkers, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        nonlocal left
        if vendor.paid and left:
            left -= 1
            raise error
        return await run(workers, function, *args, **kwargs)

    async def finish(job: Job, report: Report) -> Finished:
        return DONE

    monkeypatch.setattr(InlineWorkers, "run", broken)
    vendor.submit = finish
    assert (await house.ended(await house.create())).status.state is State.SUCCEEDED
    assert left == 0


async def test_what_is_logged_meanwhile_has_no_secret(
    house: House, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """P26: an error's own text may have the signed URL in it."""
    left = 1
    add = house.library.add

    async def troubled(chunks: AsyncIterable[bytes], *, field: str, **options: Any) -> Any:
        nonlocal left
        if field == "result" and left:
            left -= 1
            raise ValueError(SIGNED)
        return await add(chunks, field=field, **options)

    async def finish(job: Job, report: Report) -> Finished:
        return BY_URL

    monkeypatch.setattr(house.library, "add", troubled)
    vendor.files[SIGNED] = RESULT
    vendor.submit = finish
    assert (await house.ended(await house.create())).status.images
    assert "a result is not home yet: ValueError" in caplog.text
    assert "secret" not in caplog.text
