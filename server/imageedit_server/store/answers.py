"""What the database knows about answers that lie in files: whose they are, and whether anybody needs them."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Outcome, State, Task
from imageedit_server.store.attempts import AttemptKey, Fact, hint, learn, learn_late, note_answer
from imageedit_server.store.log import locked_row
from imageedit_server.store.queries import row_by_id, with_attempts
from imageedit_server.store.statements import PreparedSelect
from imageedit_server.store.tables import ATTEMPT, TASK


@dataclass(frozen=True, slots=True)
class AnsweredAttempt:
    """An attempt whose answer lies in a file, and its task as it is now."""

    key: AttemptKey
    task: Task

    @property
    def attempt(self) -> Attempt:
        """The attempt."""
        return self.task.status.attempts[self.key.number - 1]

    @property
    def is_home(self) -> bool:
        """Whether what the attempt made was brought home."""
        succeeded = self.task.status.state is State.SUCCEEDED and self.attempt.outcome is Outcome.SUCCEEDED
        return succeeded or bool(self.attempt.late_images)


def answered_attempt(connection: Connection, key: AttemptKey, token_sha256: str) -> AnsweredAttempt | None:
    """Return an attempt; None where there is none, or one of another token.

    A database that was restored under newer files gives the numbers of forgotten attempts to others.
    """
    row = row_by_id(connection, key.task_id)
    found = _TOKEN.first(connection, of_task_id=key.task_id, of_number=key.number)
    if row is None or found is None or found.token_sha256 != token_sha256:
        return None
    return AnsweredAttempt(key, with_attempts(connection, row))


def token_of(connection: Connection, key: AttemptKey) -> str:
    """Return the hash of an attempt's token, in hex."""
    found = _TOKEN.first(connection, of_task_id=key.task_id, of_number=key.number)
    assert found is not None
    return str(found.token_sha256)


def learn_from_file(connection: Connection, key: AttemptKey, fact: Fact, now: datetime) -> None:
    """Write a fact that was read from a file: the task goes on now, or has a result to be collected.

    Does nothing for a task that was forgotten meanwhile.
    """
    row = locked_row(connection, key.task_id)
    if row is None:
        return
    learn(connection, key, fact)
    if fact.outcome in (Outcome.ACCEPTED, Outcome.SUCCEEDED):
        hint(connection, row, now)


def learn_from_kept_file(
    connection: Connection, key: AttemptKey, fact: Fact, images: tuple[Image, ...], now: datetime
) -> None:
    """Write what a kept answer turned out to say, and that it is kept no longer.

    ``images`` are what it holds, brought home for a task that has ended; an open one goes on with it.
    """
    if images:
        learn_late(connection, key, fact, images, now)
    else:
        learn_from_file(connection, key, fact, now)
    answer_is_gone(connection, key)


def answer_is_gone(connection: Connection, key: AttemptKey) -> None:
    """Say that an attempt's answer is kept no longer."""
    row = row_by_id(connection, key.task_id)
    if row is None:
        return
    answer = with_attempts(connection, row).status.attempts[key.number - 1].answer
    if answer is not None and answer.kept:
        note_answer(connection, key, replace(answer, kept=False))


_TOKEN = PreparedSelect(
    select(ATTEMPT.c.token_sha256)
    .join(TASK, TASK.c.number == ATTEMPT.c.task)
    .where(TASK.c.task_id == bindparam("of_task_id"), ATTEMPT.c.number == bindparam("of_number"))
)
