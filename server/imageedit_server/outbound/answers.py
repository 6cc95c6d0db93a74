"""The seam of a paid call: what is asked of a vendor, and what it answered, kept as it came (P31).

An adapter describes the call and understands its answer, both without a clock and without I/O; the engine
makes the call. So an answer can be read again: after a crash, after a deadline, by a newer version.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from imageedit_server.outbound.multipart import Part

MIB = 1024 * 1024
MAX_BODY_BYTES = MIB
NO_HEAD = 0
"""The status of an answer whose head never came."""


class Ended(StrEnum):
    """How an answer ended."""

    WHOLE = "WHOLE"
    CUT = "CUT"
    """The connection broke before the end."""
    LATE = "LATE"
    """The end did not come within the limit of the call."""
    TOO_LONG = "TOO_LONG"
    """It had more bytes than the call takes; those up to there are here."""
    LOST = "LOST"
    """The process that took it died; nobody saw its end."""


Onlooker = Callable[[int, Mapping[str, str], AsyncIterator[bytes]], Awaitable[bool]]
"""Looks at an answer while it comes: status, headers (lower-case) and the pieces of the body.

It shows previews, and returns whether all that is paid for has come, so that the call need not wait for the
connection to close. It runs in a task of its own: it neither delays nor fails the call, whatever it does.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class PaidCall:
    """One call that may be billed: a POST of ``json`` or of ``parts`` to ``path`` of the vendor.

    ``brief`` is what ``understand`` needs to know of the request: small JSON without credentials. It is kept
    with the answer and may be read by a later version, which takes defaults for what is not in it.
    """

    path: str
    json: Any = None
    parts: Sequence[Part] | None = None
    limit_seconds: float
    max_body_bytes: int = MAX_BODY_BYTES
    """Of the body as it comes over the wire; what is more is not read (``TOO_LONG``)."""
    expected_bytes: int = MIB
    """What room is made for before the call."""
    brief: Mapping[str, Any] = field(default_factory=dict)
    onlooker: Onlooker | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came of a paid call, as it came: ``body`` is not decoded, whatever its Content-Encoding.

    ``status`` is ``NO_HEAD`` when no head came; the names in ``headers`` are lower-case. ``note`` says in a
    sentence why an answer is not whole, without secrets.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    ended: Ended
    note: str = ""
    brief: Mapping[str, Any]
    call_time: datetime
    answer_time: datetime


class Payer(Protocol):
    """Makes paid calls: the client of a vendor's API, or another way to the same vendor."""

    async def pay(self, call: PaidCall, place: "Place | None") -> Answer:
        """Make the call, once, and give what came. Raises ``NotSent`` alone; every other end is an answer."""
        ...


class Place(Protocol):
    """Where an answer is written while it comes, without waiting for the disk.

    Nothing that it raises ends the call or changes it.
    """

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head, once, and before any piece."""
        ...

    def piece(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        ...

    def end(self, ended: Ended, note: str) -> None:
        """Take how it ended, once, also where no head came."""
        ...
