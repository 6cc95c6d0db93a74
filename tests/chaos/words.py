"""Tasks and attempts in short words, as tables and assertions write them."""

from collections.abc import Sequence

from imageedit.v1.task_pb2 import Attempt
from imageedit_client import Task, TaskEvent


def state_of(task: Task) -> str:
    """Return SUCCEEDED, FAILED …"""
    return Task.State.Name(task.state).removeprefix("STATE_")


def stage_of(task: Task) -> str:
    """Return WAITING, SUBMIT_UNKNOWN …"""
    return Task.Stage.Name(task.stage).removeprefix("STAGE_")


def billing_of(task: Task) -> str:
    """Return CHARGED, NOT_CHARGED …"""
    return Task.Billing.Name(task.billing).removeprefix("BILLING_")


def outcomes_of(task: Task) -> tuple[str, ...]:
    """Return the outcome of each attempt."""
    return tuple(Attempt.Outcome.Name(each.outcome).removeprefix("OUTCOME_") for each in task.attempts)


def is_over(task: Task) -> bool:
    """Whether a task is in a terminal state."""
    return state_of(task) in ("SUCCEEDED", "FAILED", "CANCELLED")


def broken_log(events: Sequence[TaskEvent]) -> str:
    """Return what is wrong with a task's whole log (P9, P12), empty when nothing is."""
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        return f"gaps in {[event.seq for event in events]}"
    over = [is_over(event.task) for event in events]
    if over != [False] * (len(events) - 1) + [True]:
        return f"not one terminal event at the end: {over}"
    percents = [event.task.progress_percent for event in events]
    if percents != sorted(percents):
        return f"progress fell: {percents}"
    return ""
