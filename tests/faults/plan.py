"""Which calls of an operation fail, and how: chosen from the trace of one in which none did.

Calls are alike when they are of one kind and about the same kind of thing (``things``). A place is what is
alike between two fsyncs: the pages of one commit, the 256 folders that a start makes. Another place of the
same calls is the same code, later in the operation.
"""

import errno
from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.faults.control import Call, Fault
from tests.faults.things import Trace, things

NO_ROOM = (errno.ENOSPC,)
SHORT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
DISK = (errno.EIO, errno.EROFS, errno.EACCES)
CONNECTION = (errno.ECONNRESET,)
"""Errors that are dealt with alike: the columns of the table in PROMISES §4."""
ERRORS = (*NO_ROOM, *SHORT, *DISK, *CONNECTION)
OF_SOCKETS = (Call.SOCKET, Call.CONNECT, Call.ACCEPT, Call.SEND, Call.RECV)
KINDLY = {
    **dict.fromkeys((Call.OPEN, Call.SOCKET, Call.ACCEPT), errno.EMFILE),
    **dict.fromkeys((Call.WRITE, Call.FSYNC, Call.RENAME, Call.TRUNCATE, Call.MKDIR), errno.ENOSPC),
    **dict.fromkeys((Call.CONNECT, Call.SEND, Call.RECV), errno.ECONNRESET),
    Call.READ: errno.ENOMEM,
    Call.UNLINK: errno.EROFS,
}
"""Beside EIO, what a call of this kind fails with in practice."""
IN_A_ROW = 3
MOST_PLACES = 8
"""Of more places of calls that are alike, such as the pictures of a backup, so many and the last."""
LEFT_OUT = (
    "Of calls that are alike the first has every error; the last in its place, and the first and the last in "
    f"later places ({MOST_PLACES} places and the last), have one error of each group, in turn."
)


def quick(trace: Trace) -> Iterator[Fault]:
    """Let each call fail once with EIO, and once as is usual for its kind.

    Of each place the first and the last.
    """
    for call, places in _alike(trace):
        for numbers in _some(places):
            for number in _ends(numbers):
                for error in (errno.EIO, KINDLY[call]):
                    yield Fault(call, number, error)


def storm(trace: Trace) -> Iterator[Fault]:
    """Let calls fail with every error, and three in a row; ``LEFT_OUT`` says which do not."""
    for call, places in _alike(trace):
        first, *others = [number for numbers in _some(places) for number in _ends(numbers)]
        yield from (Fault(call, first, error) for error in ERRORS)
        yield from (Fault(call, first, error, IN_A_ROW) for error in (errno.EIO, KINDLY[call]))
        for turn, number in enumerate(others):
            yield from (Fault(call, number, group[turn % len(group)]) for group in _groups(call))


def whole(trace: Trace) -> int:
    """Return how many there are: every call, with every error."""
    return len(trace) * len(ERRORS)


def _groups(call: Call) -> Sequence[Sequence[int]]:
    return (SHORT, DISK, CONNECTION) if call in OF_SOCKETS else (NO_ROOM, SHORT, DISK)


def _ends(numbers: Sequence[int]) -> list[int]:
    return sorted({numbers[0], numbers[-1]})


def _some(places: Sequence[list[int]]) -> Sequence[list[int]]:
    return places if len(places) <= MOST_PLACES else [*places[:MOST_PLACES], places[-1]]


def _alike(trace: Trace) -> Iterator[tuple[Call, list[list[int]]]]:
    """Yield the numbers of calls that are alike, by their places."""
    found: defaultdict[tuple[Call, str], defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    counts: defaultdict[Call, int] = defaultdict(int)
    for (call, _), thing in zip(trace, things(trace), strict=True):
        counts[call] += 1
        found[call, thing][counts[Call.FSYNC]].append(counts[call])
    yield from ((call, [*places.values()]) for (call, _), places in found.items())
