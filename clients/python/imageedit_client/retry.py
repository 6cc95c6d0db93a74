"""When to try again, without doing it: both faces ask here for the next delay and sleep by themselves."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import grpc

from .errors import DeadlineExceeded, ImageEditError, SlowConsumer
from .hints import rank
from .service_config import retry_policy, seconds

_POLICY = retry_policy()
FIRST_BACKOFF_SECONDS = seconds(_POLICY["initialBackoff"])
LONGEST_BACKOFF_SECONDS = seconds(_POLICY["maxBackoff"])
BACKOFF_MULTIPLIER = _POLICY["backoffMultiplier"]
RETRYABLE = frozenset(grpc.StatusCode[name] for name in _POLICY["retryableStatusCodes"])
BROKEN = frozenset({grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
"""What a call that was cut off ends with, if nobody gives a reason."""
ADDRESS = re.compile(r"\b((?:ipv[46]|unix):\S+?): ")
"""The address that gRPC tells of when it could not connect."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long the client tries, and the clock and dice that it tries by; tests replace these."""

    # From the start of a call to its end, all its tries together.
    call_seconds: float = 60.0
    # How long a watch, a download or an upload may make no progress.
    patience_seconds: float = 60.0
    # Told of every try that failed and how many seconds pass before the next one.
    on_retry: Callable[[ImageEditError, float], None] = lambda error, delay: None
    clock: Callable[[], float] = time.monotonic
    # A number from 0 to 1.
    dice: Callable[[], float] = random.random


class Tries(Protocol):
    """What a face needs to know between two tries."""

    @property
    def try_seconds(self) -> float:
        """The deadline of the next try."""

    def delay_after(self, error: ImageEditError) -> float:
        """Seconds until the next try; must raise an error when there is to be none."""


class Retry:
    """The tries of one call within a budget of seconds that starts now."""

    def __init__(self, pace: Pace, budget_seconds: float) -> None:
        self._pace = pace
        self._ends = pace.clock() + budget_seconds
        self._longest_delay = FIRST_BACKOFF_SECONDS
        self._causes = Causes()

    @property
    def try_seconds(self) -> float:
        """Seconds left, which is the deadline of the next try; never below zero."""
        return max(0.0, self._ends - self._pace.clock())

    def delay_after(self, error: ImageEditError) -> float:
        """Seconds to wait before the next try; raises the error when there must be none.

        A deadline that cuts the last try short hides why the tries before it failed, so the earlier
        error is the one that is raised.
        """
        if isinstance(error, DeadlineExceeded) and (earlier := self._causes.best()) is not None:
            raise earlier from error
        if not is_transient(error):
            raise error
        cause = self._causes.best_with(error)
        delay = max(self._backoff(), error.retry_after or 0.0)
        if delay >= self.try_seconds:
            raise cause
        self._pace.on_retry(cause, delay)
        return delay

    def _backoff(self) -> float:
        longest = self._longest_delay
        self._longest_delay = min(LONGEST_BACKOFF_SECONDS, BACKOFF_MULTIPLIER * longest)
        # Half fixed, half random: a restarted server is not met by all clients at once.
        return longest * (0.5 + 0.5 * self._pace.dice())


class Causes:
    """Why the tries of a call failed: what each address of the server's name said last.

    gRPC tells of one address a try, and not of the one that says most: `localhost` is two, of which one
    often refuses, since the server listens at the other.
    """

    def __init__(self) -> None:
        self._latest: dict[str, ImageEditError] = {}

    def best_with(self, error: ImageEditError) -> ImageEditError:
        """Takes in the error of a try, and answers the one that explains most."""
        tried = ADDRESS.search(error.message)
        if tried is None or error.reason:
            self._latest = {"": error}  # an answer is news, whatever was wrong with the connection before
            return error
        self._latest.pop("", None)
        self._latest[tried[1]] = error
        return self.best() or error

    def best(self) -> ImageEditError | None:
        """The error that explains most; None before any."""
        return min(self._latest.values(), key=lambda each: rank(each.hint), default=None)


def is_transient(error: ImageEditError) -> bool:
    """Whether the same call may be repeated and may succeed.

    CANCELLED without a reason is a server that was stopped under the call: our own cancelling never
    comes back as an error. INTERNAL without one is the gRPC library's own word for a server that died while
    a message was being sent to it, and UNKNOWN for a proxy that lost the server or died itself in the middle
    of an answer; the service's own errors have a reason. Every call of a client can be repeated: creates have
    a request_id.
    """
    if error.lasting:
        return False
    broken = error.code in BROKEN and not error.reason
    return error.code in RETRYABLE or isinstance(error, SlowConsumer) or broken
