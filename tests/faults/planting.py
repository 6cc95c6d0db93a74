"""What a fork does before it serves: it lets the shim count, and waits less between two tries.

Of the product only pauses are shortened: who tries again after a second, here does after some milliseconds.
How often and how long it tries is its own.
"""

import ctypes
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from imageedit_server.core.errors import Refusal
from imageedit_server.core.image import image_id_of
from imageedit_server.engine import breaker, dispatcher, recorder, results, retries
from imageedit_server.images.blobs.disk_calls import StorageBroken
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.blobs.staging import Staged
from imageedit_server.images.library import ImageLibrary
from imageedit_server.runtime.clock import SystemClock
from imageedit_server.store.sqlite import database

PAUSE_SECONDS = 0.02
LONGEST_TRY_SECONDS = 60.0
"""Who sleeps longer does not wait for a second try: leases, retention."""


def plant(order: str) -> None:
    """Begin to count the calls of this process for whoever has the file that ``order`` names.

    A name of ``BUGS`` may stand before it, with a colon between.
    """
    bug, _, control = order.rpartition(":")
    if bug:
        BUGS[bug]()
    if ctypes.CDLL(None).faults_begin(control.encode()) != 0:
        raise OSError(f"the shim cannot map {control}")
    _shorten_pauses()


def _shorten_pauses() -> None:
    sleep = SystemClock.sleep

    async def nap(self: SystemClock, seconds: float) -> None:
        await sleep(self, seconds if seconds > LONGEST_TRY_SECONDS else min(seconds, PAUSE_SECONDS))

    SystemClock.sleep = nap  # type: ignore[method-assign]
    retries.MIN_RETRY_SECONDS = retries.MAX_RETRY_SECONDS = retries.MAX_BACKOFF_SECONDS = PAUSE_SECONDS
    breaker.OPEN_SECONDS = PAUSE_SECONDS
    database.ROOM_SECONDS = PAUSE_SECONDS
    dispatcher.SWEEP_SECONDS = 10 * PAUSE_SECONDS
    recorder.FULL_RETRY_SECONDS = PAUSE_SECONDS
    results.RETRY_SECONDS = (PAUSE_SECONDS,) * 5


# Bugs that the loops must find, or their silence means nothing


def _forget_answers() -> None:
    """What was answered before a restart is thrown away."""

    async def forget(tools: Any, _catalog: Any) -> list[Any]:
        for stored in await tools.answered.open():
            tools.answered.drop(stored.path)
        return []

    vars(dispatcher)["match"] = forget


def _give_up() -> None:
    """A result that cannot be kept just now counts as bad."""
    keep = ImageLibrary.add_bytes

    async def keep_or_give_up(self: ImageLibrary, data: bytes, *, field: str) -> Any:
        try:
            return await keep(self, data, field=field)
        except OSError as error:
            raise results.BadResult(str(error)) from None

    ImageLibrary.add_bytes = keep_or_give_up  # type: ignore[method-assign]


def _pass_over() -> None:
    """A picture counts as kept whatever became of its file."""
    commit = FileBlobStore.commit

    async def commit_or_not(self: FileBlobStore, staged: Staged) -> str:
        with suppress(Refusal, StorageBroken, OSError):
            return await commit(self, staged)
        return image_id_of(staged.sha256)

    FileBlobStore.commit = commit_or_not  # type: ignore[method-assign]


BUGS: Mapping[str, Callable[[], None]] = {
    "forgets answers": _forget_answers,
    "gives up without a descriptor": _give_up,
    "passes over a failed rename": _pass_over,
}
