"""Where work is done: short work at once, long work beside the loop."""

import threading

from imageedit_server.runtime.threads import SHORT_BYTES, work_on


async def test_short_work_is_done_at_once_and_long_work_in_a_thread() -> None:
    here = threading.get_ident()
    assert await work_on(SHORT_BYTES, threading.get_ident) == here
    assert await work_on(SHORT_BYTES + 1, threading.get_ident) != here
