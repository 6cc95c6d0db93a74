"""Named points where a test kills the process, to prove that a restart loses and repeats nothing.

``IMAGEEDIT_FAILPOINT=name:kill`` kills at the first pass through ``name``; ``name:kill:3`` at the third.
The names and what must hold after each are F1 to F14 in PROMISES §4.
"""

import os
import signal

_name, _, _action = os.environ.get("IMAGEEDIT_FAILPOINT", "").partition(":")
_remaining = int(_action.partition(":")[2] or 1)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL when ``name`` is armed; otherwise do nothing."""
    global _remaining  # noqa: PLW0603  one process, one armed point
    if name != _name:
        return
    _remaining -= 1
    if _remaining == 0:
        os.kill(os.getpid(), signal.SIGKILL)
