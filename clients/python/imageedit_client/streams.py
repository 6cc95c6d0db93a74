"""What the two resumable streams, watch and download, have in common."""

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import grpc
from google.protobuf.message import Message

from .errors import DeadlineExceeded, ImageEditError, Unavailable
from .retry import Pace, Retry

HEARTBEAT_SECONDS = 15.0

Response = TypeVar("Response")
Item = TypeVar("Item")


class StreamRetry:
    """The tries of a stream: each message is a sign of life, and the patience begins when a try fails."""

    def __init__(self, pace: Pace, *, try_seconds: float | None = None) -> None:
        self._pace = pace
        self._outage: Retry | None = None
        self._alive = False
        # A stream is cut now and then, so that a server that accepts it and says nothing is noticed.
        # A watch is silent for as long as a heartbeat takes.
        self.try_seconds = try_seconds or max(pace.patience_seconds, 3 * HEARTBEAT_SECONDS)

    def alive(self) -> None:
        """Notes that a message arrived."""
        self._outage = None
        self._alive = True

    def delay_after(self, error: ImageEditError) -> float:
        """Seconds to wait before the stream is asked for again; raises when the patience is used up."""
        was_alive, self._alive = self._alive, False
        if was_alive and isinstance(error, DeadlineExceeded):
            return 0.0
        self._outage = self._outage or Retry(self._pace, self._pace.patience_seconds)
        return self._outage.delay_after(error)


class Cursor(ABC, Generic[Response, Item]):
    """Where a stream stands. A face opens request(), hands each response to accept(), and tells the end."""

    def __init__(self, pace: Pace) -> None:
        self._retry = StreamRetry(pace)
        self.finished = False

    @property
    def try_seconds(self) -> float:
        """The deadline of one stream."""
        return self._retry.try_seconds

    @abstractmethod
    def request(self) -> Message:
        """Must ask for exactly what is still missing."""

    @abstractmethod
    def accept(self, response: Response) -> Item:
        """Must answer what the response means to the caller, and note signs of life."""

    @abstractmethod
    def ended(self) -> None:
        """Called when a stream ended OK: must set finished or raise what is wrong with such an end."""

    def resume_after(self, error: ImageEditError) -> float:
        """Seconds until the stream is asked for again; raises the error when it is no use."""
        return self._retry.delay_after(error)


def broken_stream(message: str) -> Unavailable:
    """The error for a stream that ended OK too early, which only something between us can cause."""
    return Unavailable(message, code=grpc.StatusCode.UNAVAILABLE)
