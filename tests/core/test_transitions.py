"""What a task may become: every state, every pair, every attempt (DESIGN §4)."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image, image_id_of
from imageedit_server.core.task import (
    OPEN_STATES,
    TASK_ID,
    TRANSITIONS,
    Attempt,
    Outcome,
    Stage,
    State,
    Status,
    new_task_id,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
IMAGE = Image(image_id=image_id_of("0" * 64), media_type="image/png", width=1, height=1, size_bytes=1)
ERROR = Failure(reason=FailureReason.PROVIDER_FAILED, message="x")

EVENTS: dict[str, Callable[[Status], Status]] = {
    "start": lambda status: transitions.start(status, NOW),
    "give_back": lambda status: transitions.give_back(status, NOW),
    "enter": lambda status: transitions.enter(status, NOW, Stage.WAITING),
    "progress": lambda status: transitions.progress(status, NOW, 50),
    "preview": lambda status: transitions.preview(status, NOW, IMAGE),
    "choose_size": lambda status: transitions.choose_size(status, "4:3"),
    "warn": lambda status: transitions.warn(status, ("x",)),
    "succeed": lambda status: transitions.succeed(status, NOW, (IMAGE,)),
    "fail": lambda status: transitions.fail(status, NOW, ERROR),
    "expire": lambda status: transitions.expire(status, NOW),
    "cancel": lambda status: transitions.cancel(status, NOW),
}
FROM = {
    "start": [State.QUEUED],
    "give_back": [State.RUNNING],
    "expire": [State.QUEUED, State.RUNNING],
    "cancel": [State.QUEUED, State.RUNNING],
}


def test_the_table_of_states_is_total() -> None:
    assert set(TRANSITIONS) == set(State)
    assert set(OPEN_STATES) == {State.QUEUED, State.RUNNING}
    for state in State:
        assert state.terminal == (state in (State.SUCCEEDED, State.FAILED, State.CANCELLED))
        assert all(after in State for after in TRANSITIONS[state])


def test_every_end_can_be_reached_and_none_is_left() -> None:
    reachable = {State.QUEUED}
    for _ in State:
        reachable |= {after for state in reachable for after in TRANSITIONS[state]}
    assert reachable == set(State)
    assert {state for state in State if not TRANSITIONS[state]} == set(State) - set(OPEN_STATES)


def test_every_transition_is_tried_here() -> None:
    public = {
        name
        for name, value in vars(transitions).items()
        if callable(value)
        and getattr(value, "__module__", "") == transitions.__name__
        and not name.startswith("_")
    }
    assert public == set(EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_every_transition_leads_where_the_table_allows(event: str) -> None:
    for state in FROM.get(event, [State.RUNNING]):
        before = Status(state=state, stage=Stage.PREPARING if state is State.RUNNING else None)
        after = EVENTS[event](before)
        assert after.state in TRANSITIONS[before.state]
        assert (after.stage is not None) == (after.state is State.RUNNING)
        assert (after.billing is not None) == after.state.terminal
        assert (after.end_time is not None) == after.state.terminal


def test_the_first_start_is_kept() -> None:
    later = NOW.replace(hour=5)
    given_back = transitions.give_back(transitions.start(Status(), NOW), NOW)
    assert transitions.start(given_back, later).start_time == NOW


@given(
    st.lists(
        st.one_of(st.integers(), st.floats(allow_nan=False).map(lambda x: int(x) if abs(x) < 1e9 else 0))
    )
)
def test_progress_never_falls_and_never_reaches_the_end(told: list[int]) -> None:
    """F48: 0 to 99 whatever was told; 100 is success alone."""
    status = Status(state=State.RUNNING)
    for percent in told:
        after = transitions.progress(status, NOW, percent)
        assert status.progress_percent <= after.progress_percent <= 99
        status = after
    assert status.progress_percent == max(0, min(99, max(told, default=0)))
    assert transitions.succeed(status, NOW, (IMAGE,)).progress_percent == 100


def test_a_warning_is_said_once() -> None:
    status = transitions.warn(transitions.warn(Status(), ("a", "b", "a")), ("b", "c"))
    assert status.warnings == ("a", "b", "c")


def attempt(outcome: Outcome, billing: Billing, error: Failure | None = None) -> Attempt:
    return Attempt(number=1, provider="p", outcome=outcome, billing=billing, submit_time=NOW, error=error)


@pytest.mark.parametrize(("outcome", "billing"), list(product(Outcome, Billing)))
def test_the_deadline_says_what_is_not_known(outcome: Outcome, billing: Billing) -> None:
    """DESIGN §4: an unknown paid call is the reason, also when the deadline ends it; a free one is late."""
    running = Status(state=State.RUNNING, stage=Stage.WAITING, attempts=(attempt(outcome, billing),))
    unknown = outcome in (Outcome.IN_FLIGHT, Outcome.UNKNOWN) and billing is not Billing.NOT_CHARGED
    expected = transitions.SUBMIT_OUTCOME_UNKNOWN if unknown else transitions.DEADLINE_EXCEEDED
    assert transitions.expire(running, NOW).error == expected


def test_the_deadline_of_a_task_that_waits_to_be_tried_again_says_what_it_waits_for() -> None:
    """PROMISES §2: retried to the deadline, then the provider's reason."""
    last = attempt(Outcome.NOT_PROCESSED, Billing.NOT_CHARGED, ERROR)
    queued = Status(state=State.QUEUED, attempts=(last,))
    assert transitions.expire(queued, NOW).error == replace(ERROR, retryable=True)
    doubtful = replace(queued, attempts=(attempt(Outcome.UNKNOWN, Billing.MAY_HAVE_BEEN_CHARGED), last))
    assert transitions.expire(doubtful, NOW).error == transitions.SUBMIT_OUTCOME_UNKNOWN


def test_the_deadline_of_a_task_behind_an_open_breaker_names_what_opened_it() -> None:
    """P15. What the task itself was told counts more, and a task that was begun waited for nobody."""
    behind = Failure(
        reason=FailureReason.PROVIDER_UNAVAILABLE,
        message="It fell.",
        provider_code="503",
        provider_message="m",
    )
    error = transitions.expire(Status(state=State.QUEUED), NOW, behind).error
    assert error is not None
    assert error.reason is FailureReason.DEADLINE_EXCEEDED
    assert error.message.endswith("It fell.")
    assert (error.provider_code, error.provider_message) == ("503", "m")
    own = Status(state=State.QUEUED, attempts=(attempt(Outcome.NOT_PROCESSED, Billing.NOT_CHARGED, ERROR),))
    assert transitions.expire(own, NOW, behind).error == replace(ERROR, retryable=True)
    running = Status(state=State.RUNNING, stage=Stage.PREPARING)
    assert transitions.expire(running, NOW, behind).error == transitions.DEADLINE_EXCEEDED


def test_task_ids_are_unguessable_and_well_formed() -> None:
    ids = {new_task_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(TASK_ID.fullmatch(task_id) for task_id in ids)


def test_nouns_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Status().state = State.FAILED  # type: ignore[misc]
