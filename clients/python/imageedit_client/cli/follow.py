"""Following a task to its end: a live bar on a terminal, one line an event elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from imageedit.v1 import task_pb2

from . import exits, words
from .output import note, tell
from .session import Session

Show = Callable[[task_pb2.TaskEvent], None]


def follow(session: Session, task_id: str) -> task_pb2.Task:
    """Shows the task's progress and answers it when it is finished, well or not."""
    live = sys.stdout.isatty() and not session.json
    with interruptible(session, task_id), live_bar() if live else lines() as show:
        for event in session.client.watch(task_id):
            show(event)
    return event.task


@contextmanager
def interruptible(session: Session, task_id: str) -> Iterator[None]:
    """Ctrl-C leaves the task alone, so it says how to come back to it and how to end it."""
    try:
        yield
    except KeyboardInterrupt:
        note(f"{task_id} goes on without you")
        tell(f"  watch it:   {session.hint(f'watch {task_id}')}")
        tell(f"  cancel it:  {session.hint(f'cancel {task_id}')}")
        raise typer.Exit(exits.INTERRUPTED) from None


@contextmanager
def live_bar() -> Iterator[Show]:
    """A bar on stdout that is redrawn in place."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console()) as progress:
        bar = progress.add_task("queued", total=100)
        yield lambda event: progress.update(
            bar, completed=event.task.progress_percent, description=words.progress(event.task)
        )


@contextmanager
def lines() -> Iterator[Show]:
    """A line an event on stderr, so that stdout carries the results alone."""
    yield lambda event: tell(words.event_line(event))
