"""Work done through the shipped client, and what it saw."""

from dataclasses import dataclass, field

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient

SUCCEEDED = task_pb2.Task.STATE_SUCCEEDED
TERMINAL = {SUCCEEDED, task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_CANCELLED}


@dataclass
class Story:
    """The events of one task, as its watcher saw them."""

    task_id: str = ""
    events: list[task_pb2.TaskEvent] = field(default_factory=list)

    @property
    def last(self) -> task_pb2.Task:
        """The task as of its last event."""
        return self.events[-1].task


async def follow(client: AsyncClient, task_id: str, story: Story | None = None) -> Story:
    """Watch a task to its end, across whatever happens to the server."""
    story = story or Story()
    story.task_id = task_id
    async for event in client.watch(task_id):
        story.events.append(event)
    return story


async def assert_told_once(client: AsyncClient, story: Story) -> None:
    """P9, P12: seq 1..n once each, one terminal event at the end, and the log still says the same."""
    assert [event.seq for event in story.events] == list(range(1, len(story.events) + 1))
    assert [event.task.state in TERMINAL for event in story.events] == [False] * (len(story.events) - 1) + [
        True
    ]
    assert (await follow(client, story.task_id)).events == story.events
    assert await client.get(story.task_id) == story.last


def assert_paid_once(task: task_pb2.Task) -> None:
    """P5: one attempt, however often the process died around it."""
    assert [attempt.number for attempt in task.attempts] == [1]
