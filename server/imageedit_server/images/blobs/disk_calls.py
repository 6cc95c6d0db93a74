"""Work on a local disk: in threads, to its end, and its errors told apart. What is kept is in ``files``."""

import asyncio
import errno
import os
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from imageedit_server.core.errors import Reason, Refusal

P = ParamSpec("P")
T = TypeVar("T")

_FULL = (errno.ENOSPC, errno.EDQUOT)


class StorageBroken(Exception):
    """The disk failed to keep what it took: the process must stop, and never ask it again (F22).

    Raised only where that is certain, also to a caller that was cancelled meanwhile.
    """


def begin(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Begin to run ``function`` in a thread; whoever begins must await its end with ``end_of``."""
    return asyncio.get_running_loop().run_in_executor(None, partial(function, *args, **kwargs))


async def end_of(work: asyncio.Future[T]) -> T:
    """Wait until what was begun has ended, also when the caller is cancelled, who learns so then.

    Of a broken disk the caller learns in any case.
    """
    cancelled = None
    while not work.done():
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled and not isinstance(work.exception(), StorageBroken):
        raise cancelled
    return work.result()


async def to_the_end(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` in a thread, to its end, as ``end_of`` says."""
    return await end_of(begin(function, *args, **kwargs))


def on_disk(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``function`` and tell a full disk from a broken one; other errors pass."""
    try:
        return function(*args, **kwargs)
    except OSError as error:
        if error.errno in _FULL:
            raise Refusal(Reason.STORAGE_FULL, "There is no space left for images.") from error
        if error.errno in (errno.EIO, errno.EROFS):
            raise StorageBroken(os.strerror(error.errno)) from error
        raise


def fsync(descriptor: int) -> None:
    """Make durable; after any failure but a full disk, the kernel may have dropped the bytes unseen."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _FULL:
            raise
        raise StorageBroken(str(error)) from error
