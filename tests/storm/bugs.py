"""Bugs for a server to have, each a broken promise: the storm must find every one before its silence counts.

``plant`` changes the classes of the process that it runs in, which is a fork that serves and dies.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Connection, select

from imageedit_server.core import transitions
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import image_id_of
from imageedit_server.core.task import Attempt, Outcome, Stage, State, Task
from imageedit_server.editing import callbacks, creating, erasing, tasks
from imageedit_server.editing.callbacks import Callbacks
from imageedit_server.engine import run
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.resume import ResumePoint, resume_point
from imageedit_server.engine.submitting import Submitting
from imageedit_server.feed.local import LocalFeed
from imageedit_server.images.blobs.files import FileBlobStore
from imageedit_server.images.blobs.staging import Staged
from imageedit_server.providers.base import Accepted, CallbackRefused, Prepared
from imageedit_server.runtime.failpoints import failpoint
from imageedit_server.store import attempts, claims, creation, decisions, log
from imageedit_server.store import erasing as store_erasing
from imageedit_server.store.queries import look_for_task, row_by_id
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.file import driver
from imageedit_server.store.sqlite.group_commit import GroupCommit
from imageedit_server.store.tables import ATTEMPT, TASK
from tests.storm.riddles import know_riddles

KIE, RELAY, SUITME, SCRIPTED = "kie", "relay", "suitme", "scripted"
PAID = (KIE, RELAY, SUITME)
UNCORRELATED = (RELAY, SUITME)
"""Whose callbacks, if they have any, never tell a forgotten id: a doubt about their work stays one."""
BETWEEN_ROW_AND_EVENT = "between_row_and_event"
"""A failpoint that only a bug has."""
LATE_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Bug:
    """``points``, at their ``passes``, are the kills that bring it to light, ``shows`` is the check that must
    fail, and ``kinds`` are the tasks that it strikes; ``cancels`` is the share of them that are cancelled,
    ``seconds`` how long a server lives that is killed at random. Those that honest callers find are looked
    for without a neighbour and a stranger; ``in_company`` are those that nobody else finds."""

    shows: str
    points: tuple[str, ...]
    plant: Callable[[], None]
    kinds: tuple[str, ...] = (SCRIPTED,)
    passes: int = 1
    cancels: float = 0.0
    seconds: float = 0.0
    in_company: bool = False


KNOWS_RIDDLES = "knows riddles"
"""No bug: the last server of a storm is a newer one."""


def plant(name: str) -> None:
    """Make this process have the bug; none for an empty name."""
    if name == KNOWS_RIDDLES:
        know_riddles()
    elif name:
        BUGS[name].plant()


def _pay_before_intent() -> None:
    intend, call = Submitting.intend, Submitting._watched_call

    async def later(self: Submitting, number: int, token: str, prepared: Prepared, *, again: bool) -> None:
        self.intent = (number, token, prepared, again)  # type: ignore[attr-defined]

    async def pay(self: Submitting, prepared: Prepared) -> Any:
        number, token, _, again = self.intent  # type: ignore[attr-defined]
        try:
            return await call(self, prepared)
        finally:
            await intend(self, number, token, prepared, again=again)

    Submitting.intend, Submitting._watched_call = later, pay  # type: ignore[method-assign]


def _send_again() -> None:
    honest = resume_point

    def careless(*args: Any, **kwargs: Any) -> ResumePoint:
        point = honest(*args, **kwargs)
        return ResumePoint.SUBMIT if point is ResumePoint.DECIDE_UNKNOWN else point

    run.resume_point = careless  # type: ignore[attr-defined]


def _answer_before_commit() -> None:
    _commit_late(publish=False)


def _tell_before_commit() -> None:
    _commit_late(publish=True)


def _commit_late(*, publish: bool) -> None:
    """Answer, or tell watchers, what only the next COMMIT makes durable."""
    settle, tell = GroupCommit._settle, LocalFeed.publish

    async def serve(self: GroupCommit) -> None:
        while await self._has_more():
            group: list[Any] = []
            self._in_savepoints = True  # nothing here runs a group anew
            await self._begin()
            self._run_units(group)
            if publish:
                tell(
                    cast(LocalFeed, self._publisher),
                    [change for waiting in group for change in waiting.changes],
                )
            else:
                settle(self, group)
            await asyncio.sleep(LATE_SECONDS / 2)
            await self._loop.run_in_executor(self._thread, self._cursor.execute, "COMMIT")
            if publish:
                for waiting in group:
                    waiting.changes = []
                settle(self, group)

    GroupCommit._serve = serve  # type: ignore[method-assign]


def _split_transaction() -> None:
    """The row of a task says what its log does not say yet."""
    insert = log.insert_event

    def careless(connection: Connection, number: int, task: Task, now: datetime) -> None:
        cursor = driver(connection)
        cursor.execute("COMMIT")
        failpoint(BETWEEN_ROW_AND_EVENT)
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("SAVEPOINT unit")
        insert(connection, number, task, now)

    log.insert_event = careless


def _drop_fence() -> None:
    """``UPDATE … WHERE id = ?``, as some queues complete their jobs, in tables that take it."""

    def anybody(connection: Connection, lease: claims.Lease) -> Any:
        cursor = driver(connection)
        for (trigger,) in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            cursor.execute(f"DROP TRIGGER {trigger}")
        return row_by_id(connection, lease.task_id)

    decisions.owned_row = anybody
    attempts.owned_row = anybody  # type: ignore[attr-defined]
    log.TRANSITIONS = dict.fromkeys(State, frozenset(State))  # type: ignore[attr-defined]


def _note_vendor_id_late() -> None:
    """The process knows it, the store does not, and the answer that said it is gone."""
    known: dict[Any, str] = {}
    honest = vars(Recorder)["attempt"].fget

    async def late(self: Recorder, accepted: Accepted) -> None:
        known[self.key] = accepted.vendor_task_id
        fact = attempts.Fact(
            outcome=Outcome.ACCEPTED,
            vendor_task_id=accepted.vendor_task_id,
            vendor_request_id=accepted.vendor_request_id,
        )
        asyncio.get_running_loop().call_later(LATE_SECONDS, lambda: asyncio.ensure_future(self._learn(fact)))
        self._tools.answered.acted_on(self.key)
        self._tools.answered._answers._begin_removing()
        await asyncio.sleep(LATE_SECONDS / 4)  # until its file is gone
        await self.enter(Stage.WAITING)

    def attempt(self: Recorder) -> Attempt:
        found: Attempt = honest(self)
        key = attempts.AttemptKey(self.task.task_id, found.number)
        return replace(found, vendor_task_id=found.vendor_task_id or known.get(key, ""))

    Recorder.accepted = late  # type: ignore[method-assign]
    Recorder.attempt = property(attempt)  # type: ignore[assignment,method-assign]


def _note_upload_early() -> None:
    """The row is there before the file is in its place."""

    async def late(self: FileBlobStore, staged: Staged) -> str:
        image_id = image_id_of(staged.sha256)
        staged.write_out()
        kept, target = Path(f"{staged.path}-late"), self.path(image_id)
        os.link(staged.path, kept)
        asyncio.get_running_loop().call_later(LATE_SECONDS, lambda: kept.rename(target))
        return image_id

    FileBlobStore.commit = late  # type: ignore[method-assign]


def _keep_leftovers() -> None:
    prepare = FileBlobStore.prepare

    def careless(self: FileBlobStore) -> None:
        leftovers = {path: path.read_bytes() for path in self._temporary.glob("*")}
        prepare(self)
        for path, content in leftovers.items():
            path.write_bytes(content)

    FileBlobStore.prepare = careless  # type: ignore[method-assign]


def _believe_callbacks() -> None:
    receive = Callbacks.receive

    async def believing(
        self: Callbacks, provider: str, token: str, headers: Mapping[str, str], body: bytes
    ) -> None:
        await receive(self, provider, token, headers, body)
        if json.loads(body)["data"]["state"] == "fail":
            await self._database.write(_fail, hashlib.sha256(token.encode()).hexdigest(), self._clock.now())

    Callbacks.receive = believing  # type: ignore[method-assign]


def _fail(connection: Connection, token_sha256: str, now: datetime) -> None:
    found = select(TASK.c.task_id).join(ATTEMPT, ATTEMPT.c.task == TASK.c.number)
    task_id = connection.execute(found.where(ATTEMPT.c.token_sha256 == token_sha256)).scalar_one()
    row = row_by_id(connection, task_id)
    assert row is not None
    if not State(row.state).terminal:
        error = Failure(reason=FailureReason.PROVIDER_FAILED, message="The callback said so.")
        log.append_event(connection, row, partial(transitions.fail, error=error), now)


def _learn_nothing_from_callbacks() -> None:
    call_back, learn = attempts.call_back, attempts.learn

    def deaf(*given: Any) -> bool:
        attempts.learn = lambda *_args: None
        try:
            return call_back(*given)
        finally:
            attempts.learn = learn

    callbacks.call_back = deaf  # type: ignore[assignment,attr-defined]


def _forget_request_ids() -> None:
    def forgetful(connection: Connection, new: creation.NewTask, *more: Any) -> Task:
        nameless = replace(new.request, request_id="")
        return creation.create_task(connection, replace(new, request=nameless), *more)

    creating.create_task = forgetful  # type: ignore[assignment,attr-defined]


def _wait_for_leases() -> None:
    async def respect(self: SqliteDatabase) -> None:
        """Leave every lease as it is."""

    SqliteDatabase.recover = respect  # type: ignore[method-assign]


def _show_everybody() -> None:
    async def look_up(self: tasks.Tasks, _tenant: str, task_id: str) -> Task:
        task = await self._database.look_up(look_for_task, task_id)
        assert task is not None
        return task

    tasks.Tasks.get = look_up  # type: ignore[method-assign,assignment]


def _erase_what_others_have() -> None:
    def all_of_them(_connection: Connection, image_ids: Collection[str]) -> list[str]:
        return sorted(image_ids)

    for each in (erasing, store_erasing):
        vars(each)["unreferenced"] = all_of_them


def _take_any_callback() -> None:
    receive = Callbacks.receive

    async def credulous(self: Callbacks, *told: Any) -> None:
        with suppress(CallbackRefused):
            await receive(self, *told)

    Callbacks.receive = credulous  # type: ignore[method-assign,assignment]


BUGS: Mapping[str, Bug] = {
    "pays before the intent is durable": Bug("double-charged", ("in the call",), _pay_before_intent, PAID),
    "sends again what may have been taken": Bug(
        "double-charged", ("answer_head",), _send_again, UNCORRELATED
    ),
    "answers before the commit": Bug("lost", ("at an answer",), _answer_before_commit),
    "tells watchers before the commit": Bug("FAITHFUL", ("at an event",) * 3, _tell_before_commit),
    "writes row and event in two transactions": Bug(
        "ROW_IS_LAST_EVENT", (BETWEEN_ROW_AND_EVENT,), _split_transaction
    ),
    "lets anybody decide": Bug(
        "ONE_TERMINAL", ("at an answer",) * 2, _drop_fence, (RELAY,), passes=12, cancels=1.0
    ),
    "notes the vendor's id late": Bug(
        "paid-and-lost", ("submit_after_accepted",), _note_vendor_id_late, (SUITME,)
    ),
    "notes an upload before its file is there": Bug("lost", ("at an answer",), _note_upload_early),
    "believes what callbacks say": Bug(
        "failed", ("at an answer",) * 2, _believe_callbacks, (KIE,), passes=12
    ),
    "learns no vendor's id from a callback": Bug(
        "paid-and-lost", ("answer_head",), _learn_nothing_from_callbacks, (KIE,)
    ),
    "forgets request_ids": Bug("twice", ("create_after_commit",), _forget_request_ids),
    "leaves half-written files": Bug("damaged", ("upload_before_fsync",), _keep_leftovers),
    "waits for the leases of the dead": Bug("stuck", ("submit_after_accepted",), _wait_for_leases, PAID),
    "shows a tenant's tasks to another": Bug(
        "trespassed", ("at random",), _show_everybody, seconds=5.0, in_company=True
    ),
    "erases what another tenant has too": Bug(
        "damaged", ("at random",), _erase_what_others_have, seconds=5.0, in_company=True
    ),
    "takes callbacks of anybody": Bug(
        "trespassed", ("at random",), _take_any_callback, seconds=5.0, in_company=True
    ),
}
