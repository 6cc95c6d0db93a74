"""What pictures need is there in a worker, which opens nothing: ordinary files end there as they do here."""

from collections.abc import Callable
from typing import Any

import pytest

from imageedit_server.images.mending import make_good
from imageedit_server.pictures.ready import Taken, make_mask_ready, make_ready
from imageedit_server.providers.local.edits import edit
from imageedit_server.providers.local.plan import Operation, Originals, Plan, Step
from imageedit_server.runtime.workers import JobFailed, JobRefused
from imageedit_server.sandbox.pool import WorkerPool
from tests.images.pictures import MIB
from tests.pictures.ordinary import photos

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = (Operation.WARMTH, Operation.BLUR, Operation.SHARPEN, Operation.SEPIA, Operation.INVERT)
PLAN = Plan(steps=tuple(Step(operation=each, amount=0.5) for each in STEPS), size="1:1")
JOBS: dict[str, tuple[Callable[..., Any], Callable[[bytes], tuple[Any, ...]], dict[str, Any]]] = {
    "taken": (make_good, lambda data: (data,), {"max_pixels": 10**7}),
    "brought home": (make_good, lambda data: (data,), {"max_pixels": 10**7, "paid": True}),
    "sent": (make_ready, lambda data: (data, Taken(max_bytes=MIB)), {}),
    "sent as PNG": (make_ready, lambda data: (data, Taken(media_types=("image/png",), max_bytes=MIB)), {}),
    "sent as JPEG": (make_ready, lambda data: (data, Taken(media_types=("image/jpeg",), max_bytes=MIB)), {}),
    "sent as a mask": (make_mask_ready, lambda data: (data, MIB), {}),
    "edited": (edit, lambda data: (Originals(image=data), PLAN), {}),
}


def here(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a job ends with, or the kind of its error, in this process."""
    try:
        return function(*args, **kwargs)
    except JobRefused as refused:
        return type(refused), refused.args
    except Exception:  # noqa: BLE001  what is no refusal comes back as one kind
        return JobFailed


async def there(pool: WorkerPool, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return that of a worker; an import that fails there is no answer."""
    try:
        return await pool.run(function, *args, **kwargs)
    except JobRefused as refused:
        return type(refused), refused.args
    except JobFailed:
        return JobFailed


@pytest.mark.parametrize("job", JOBS)
async def test_a_worker_has_all_that_ordinary_files_need(pool: WorkerPool, job: str) -> None:
    function, arguments, options = JOBS[job]
    for photo in photos((96, 64)):
        args = arguments(photo.content)
        assert await there(pool, function, *args, **options) == here(function, *args, **options), photo.name
