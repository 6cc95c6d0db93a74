"""The commands about tasks that exist: watch, get, cancel, delete, list."""

from enum import StrEnum
from itertools import islice
from typing import Annotated, cast

import typer

from imageedit_client.errors import succeeded
from imageedit_client.requests import State

from . import words
from .follow import interruptible
from .session import Session, command
from .tables import table


class StateWord(StrEnum):
    """The states as they are typed."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


TaskId = Annotated[str, typer.Argument(metavar="TASK_ID", help="See `imageedit list`")]


@command
def watch(
    session: Session,
    task_id: TaskId,
    after: Annotated[int, typer.Option(min=0, metavar="SEQ", help="Begin after this event")] = 0,
) -> None:
    """Print every event of a task, from the first to the last."""
    task = None
    with interruptible(session, task_id):
        for event in session.client.watch(task_id, after_seq=after):
            session.show(event, words.event_line(event))
            task = event.task
    succeeded(task or session.client.get(task_id))


@command
def get(session: Session, task_id: TaskId) -> None:
    """Print a task as it is now."""
    task = session.client.get(task_id)
    session.show(task, *words.portrait(task))


@command
def cancel(session: Session, task_id: TaskId) -> None:
    """End a task that is not finished, and say who pays."""
    task = session.client.cancel(task_id)
    session.show(task, words.outcome(task))


@command
def delete(
    session: Session,
    task_ids: Annotated[list[str], typer.Argument(metavar="TASK_ID...", help="See `imageedit list`")],
) -> None:
    """Erase finished tasks, with their images that no other task needs."""
    for task_id in task_ids:
        session.client.delete(task_id)


@command
def list_tasks(
    session: Session,
    state: Annotated[
        list[StateWord] | None,
        typer.Option(metavar="STATE", help=f"Only tasks that are {', '.join(StateWord)}; repeatable"),
    ] = None,
    user: Annotated[str, typer.Option(metavar="NAME", help="Only tasks of this user")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=0, help="How many at most; 0 for all")] = 50,
) -> None:
    """Print the tasks, newest first."""
    states = [cast(State, each.name) for each in state or ()]
    tasks = session.client.list(user_id=user, states=states, page_size=limit)
    table(session, ("TASK", "STATE", "CREATED", "PROMPT"), words.row, islice(tasks, limit or None), cut=True)
