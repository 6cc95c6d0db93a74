"""Which calls of an edit fail, and how: chosen from the trace of an edit in which none did."""

import errno
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.faults.control import Call, Fault

Trace = Sequence[tuple[Call, str]]

STORM_ERRORS = (
    *(errno.EIO, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS, errno.EACCES),
    errno.ECONNRESET,
)
KINDLY = {
    **dict.fromkeys((Call.OPEN, Call.SOCKET, Call.ACCEPT), errno.EMFILE),
    **dict.fromkeys((Call.WRITE, Call.FSYNC, Call.RENAME, Call.TRUNCATE, Call.MKDIR), errno.ENOSPC),
    **dict.fromkeys((Call.CONNECT, Call.SEND, Call.RECV), errno.ECONNRESET),
    Call.READ: errno.ENOMEM,
    Call.UNLINK: errno.EROFS,
}
"""Beside EIO, what a call of this kind fails with in practice."""
IN_A_ROW = 3
_ALIKE = re.compile(r"/[0-9a-f]{2}(/[0-9a-f]{64})?$")
"""Pictures, and the folders that they lie in: there are 256, and a start makes each of them."""


def quick(trace: Trace) -> Iterator[Fault]:
    """Let each call fail once with EIO, and once as is usual for its kind.

    Of many calls about the same thing between two fsyncs, such as the pages of one commit, the first and the
    last.
    """
    for call, numbers in _runs(trace):
        for number in _ends(numbers):
            for error in (errno.EIO, KINDLY[call]):
                yield Fault(call, number, error)


def storm(trace: Trace) -> Iterator[Fault]:
    """Let every call fail with every error; and three in a row, at the places of ``quick``."""
    for call, numbers in _runs(trace):
        chosen = _ends(numbers) if call is Call.MKDIR else numbers  # a start makes 256 alike
        yield from (Fault(call, number, error) for number in chosen for error in STORM_ERRORS)
    for fault in quick(trace):
        yield Fault(fault.call, fault.first, fault.error, IN_A_ROW)


def _ends(numbers: Sequence[int]) -> list[int]:
    return sorted({numbers[0], numbers[-1]})


def _runs(trace: Trace) -> Iterator[tuple[Call, list[int]]]:
    """Yield the numbers of calls that have all in common: kind, what they are about, and their time."""
    runs: defaultdict[tuple[Call, str, int], list[int]] = defaultdict(list)
    counts: defaultdict[Call, int] = defaultdict(int)
    for call, about in trace:
        counts[call] += 1
        runs[call, _ALIKE.sub("", about), counts[Call.FSYNC]].append(counts[call])
    yield from ((call, numbers) for (call, *_), numbers in runs.items())
