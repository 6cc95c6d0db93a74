"""A watch that survives broken streams: what to ask for next, and which events the caller has not seen."""

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import task_pb2

from .retry import Pace
from .streams import Cursor, broken_stream

TERMINAL = frozenset(
    {task_pb2.Task.STATE_SUCCEEDED, task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_CANCELLED}
)


class WatchCursor(Cursor[service_pb2.WatchTaskResponse, task_pb2.TaskEvent | None]):
    """Where the watch of one task stands."""

    def __init__(self, task_id: str, after_seq: int, pace: Pace) -> None:
        super().__init__(pace)
        self._task_id = task_id
        self._seq = after_seq
        # After the terminal event there is nothing to send: a watch from there ends at once.
        self._may_be_over = after_seq > 0

    def request(self) -> service_pb2.WatchTaskRequest:
        """Asks for all events that the caller has not seen."""
        return service_pb2.WatchTaskRequest(task_id=self._task_id, after_seq=self._seq)

    def accept(self, response: service_pb2.WatchTaskResponse) -> task_pb2.TaskEvent | None:
        """The event if it is news; None for heartbeats and for what was already seen."""
        event = response.event
        if response.HasField("event") and event.seq <= self._seq:
            return None  # A repeated event is no progress: a server that only repeats is given up.
        self._retry.alive()
        if not response.HasField("event"):
            return None
        self._seq = event.seq
        self._may_be_over = False
        self.finished = event.task.state in TERMINAL
        return event

    def ended(self) -> None:
        """Notes that the stream ended OK, which the service does only after the terminal event."""
        if not self.finished and not self._may_be_over:
            raise broken_stream("the watch ended before the task did")
        self.finished = True
