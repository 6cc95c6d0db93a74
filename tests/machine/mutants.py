"""Planted bugs: each must be found by the machine, or its silence about the service means nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import bindparam, select

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import FailureReason, task_not_found
from imageedit_server.core.task import Outcome, State, Status
from imageedit_server.editing import callbacks, creating, watching
from imageedit_server.editing import tasks as editing_tasks
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.engine import dispatcher, run, unread
from imageedit_server.engine.answered import Answered
from imageedit_server.engine.downloading import Downloading
from imageedit_server.engine.late_results import LateResults
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.results import BadResult, Results
from imageedit_server.engine.resume import ResumePoint, resume_point
from imageedit_server.engine.task_clock import TaskClock
from imageedit_server.engine.waiting import Waiting
from imageedit_server.providers import outcomes
from imageedit_server.providers.base import Finished, Output
from imageedit_server.store import attempts, claims, creation, decisions
from imageedit_server.store.answers import token_of
from imageedit_server.store.attempts import Fact
from imageedit_server.store.log import LeaseLost, append_event
from imageedit_server.store.queries import row_by_id, with_attempts
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.states import IS_OPEN
from imageedit_server.store.tables import ATTEMPT, IDEMPOTENCY, TASK
from tests.machine.vendor import picture

Plant = Callable[[pytest.MonkeyPatch], None]


MUTANTS: dict[str, Plant] = {}


def mutant(plant: Plant) -> Plant:
    """Add a bug to the list, under the name of its function."""
    MUTANTS[plant.__name__] = plant
    return plant


@mutant
def overwrites_the_end(patch: pytest.MonkeyPatch) -> None:
    """A late result ends a task that had ended: the token is compared, the state is not."""

    def own_row(connection: Any, lease: Any) -> Any:
        row = row_by_id(connection, lease.task_id)
        if row is None or row.lease_token < lease.token:
            raise LeaseLost
        return row

    patch.setattr(decisions, "owned_row", own_row)


@mutant
def sends_again_after_a_lost_reply(patch: pytest.MonkeyPatch) -> None:
    """A broken connection counts as not processed."""

    def not_processed(error: Any) -> Any:
        return outcomes.not_processed(FailureReason.PROVIDER_UNAVAILABLE, str(error))

    patch.setattr(outcomes, "paid_call_error", not_processed)


@mutant
def sends_again_after_a_server_error(patch: pytest.MonkeyPatch) -> None:
    """A 502 counts as a 429."""
    original = outcomes.refusal_of

    def refusal_of(status: int, **details: Any) -> Any:
        return original(429 if status >= 500 else status, **details)

    patch.setattr(outcomes, "refusal_of", refusal_of)


@mutant
def sends_again_after_a_crash(patch: pytest.MonkeyPatch) -> None:
    """What was interrupted is begun anew, as most job queues do."""

    def point(task: Any, safety: Any, **known: Any) -> ResumePoint:
        found = resume_point(task, safety, **known)
        return ResumePoint.SUBMIT if found is ResumePoint.DECIDE_UNKNOWN else found

    patch.setattr(run, "resume_point", point)


@mutant
def pays_before_the_intent(patch: pytest.MonkeyPatch) -> None:
    """The attempt is put on record when its answer is here."""
    begin, accepted = Recorder.begin, Recorder.accepted

    async def remember(self: Any, attempt: Any, token: str, warnings: Any) -> None:
        self.pending = (attempt, token, warnings)
        self.task = replace(
            self.task, status=replace(self.task.status, attempts=(*self.task.status.attempts, attempt))
        )

    async def begin_then_accept(self: Any, *given: Any) -> None:
        if pending := self.__dict__.pop("pending", None):
            await begin(self, *pending)
        await accepted(self, *given)

    patch.setattr(Recorder, "begin", remember)
    patch.setattr(Recorder, "accepted", begin_then_accept)


@mutant
def trusts_a_callback(patch: pytest.MonkeyPatch) -> None:
    """A callback counts as success, without asking the vendor."""
    ask, called_back = Waiting.ask, Waiting.called_back

    def remember(self: Any) -> None:
        self.trusted = bool(self._recorder.attempt.vendor_task_id)
        called_back(self)

    async def believe(self: Any) -> Any:
        if self.__dict__.get("trusted"):
            return Finished(outputs=(Output(content=picture(0)),))
        return await ask(self)

    patch.setattr(Waiting, "called_back", remember)
    patch.setattr(Waiting, "ask", believe)


@mutant
def takes_any_callback(patch: pytest.MonkeyPatch) -> None:
    """The token in a callback's address is not looked at."""
    original = attempts.call_back

    def call_back(connection: Any, provider: str, token: str, *given: Any) -> bool:
        known = (
            connection.execute(
                select(ATTEMPT.c.token_sha256)
                .where(ATTEMPT.c.provider == provider)
                .order_by(ATTEMPT.c.task.desc())
            )
            .scalars()
            .first()
        )
        return original(connection, provider, known or token, *given)

    patch.setattr(callbacks, "call_back", call_back)


@mutant
def forgets_a_late_result(patch: pytest.MonkeyPatch) -> None:
    """A callback for an ended task is answered and dropped."""
    patch.setattr(LateResults, "collect", lambda self, task_id: None)


@mutant
def learns_nothing_from_a_callback(patch: pytest.MonkeyPatch) -> None:
    """The vendor's id in a callback is not kept where the outcome is unknown."""
    original = attempts.call_back

    def call_back(*given: Any) -> bool:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(attempts, "learn", lambda *_: None)
            return original(*given)

    patch.setattr(callbacks, "call_back", call_back)


def _with_find(patch: pytest.MonkeyPatch, find: Callable[..., Any]) -> None:
    patch.setattr(creation, "find_by_request_id", find)
    patch.setattr(creating, "find_by_request_id", find)


@mutant
def shares_keys_between_methods(patch: pytest.MonkeyPatch) -> None:
    """A request_id is looked up without its method."""
    original = creation.find_by_request_id

    def find(connection: Any, tenant: str, method: str, request_id: str, body: str) -> Any:
        for other in ("EDIT_IMAGE", "MODEL_EDIT", "DEFAULT_MODEL"):
            if found := original(connection, tenant, other, request_id, body):
                return found
        return None

    _with_find(patch, find)


@mutant
def ignores_the_body_of_a_repeat(patch: pytest.MonkeyPatch) -> None:
    """Another request under a known request_id is answered with the first one's task."""
    original = creation.find_by_request_id

    def find(connection: Any, tenant: str, method: str, request_id: str, body: str) -> Any:
        known = connection.execute(
            select(IDEMPOTENCY.c.body_sha256).where(
                IDEMPOTENCY.c.tenant == tenant,
                IDEMPOTENCY.c.method == method,
                IDEMPOTENCY.c.request_id == request_id,
            )
        ).scalar()
        return original(connection, tenant, method, request_id, known or body)

    _with_find(patch, find)


@mutant
def looks_for_twins_too_early(patch: pytest.MonkeyPatch) -> None:
    """A repeat is looked for before the transaction, and not in it."""
    patch.setattr(creation, "find_by_request_id", lambda *_: None)


@mutant
def stores_what_only_validates(patch: pytest.MonkeyPatch) -> None:
    """validate_only makes a task."""
    new_task = creating.Creating._new_task

    def always(self: Any, tenant: str, draft: Any, *given: Any) -> Any:
        object.__setattr__(draft, "validate_only", False)
        return new_task(self, tenant, draft, *given)

    patch.setattr(creating.Creating, "_new_task", always)


@mutant
def repeats_an_event_on_resume(patch: pytest.MonkeyPatch) -> None:
    """Resuming gives the event that the client has already."""

    watch = watching.Watching.watch

    def from_there(self: Any, tenant: str, task_id: str, after_seq: int) -> Any:
        return watch(self, tenant, task_id, after_seq - (after_seq > 0))

    patch.setattr(watching.Watching, "watch", from_there)


@mutant
def repeats_a_task_on_the_next_page(patch: pytest.MonkeyPatch) -> None:
    """A page begins with the last task of the one before."""
    number_in = PageTokens.open
    patch.setattr(PageTokens, "open", lambda self, *of: number_in(self, *of) + 1)


@mutant
def cancels_for_free(patch: pytest.MonkeyPatch) -> None:
    """A cancelled task says that nothing was paid, whatever was sent."""
    cancel = transitions.cancel
    patch.setattr(
        transitions, "cancel", lambda status, now: replace(cancel(status, now), billing=Billing.NOT_CHARGED)
    )


@mutant
def fails_for_free(patch: pytest.MonkeyPatch) -> None:
    """A doubtful attempt counts as not charged."""
    unknown = Recorder.unknown

    async def free(self: Any, *given: Any) -> None:
        await unknown(self, *given)
        await self._learn(Fact(outcome=Outcome.ACCEPTED, billing=Billing.NOT_CHARGED))

    patch.setattr(Recorder, "unknown", free)


@mutant
def ignores_the_deadline(patch: pytest.MonkeyPatch) -> None:
    """Nothing is ever ended by the time alone."""
    patch.setattr(claims, "_expire", lambda connection, now, *given: False)
    begin = TaskClock.__init__

    def endless(self: TaskClock, task: Any, *given: Any) -> None:
        begin(self, replace(task, deadline=task.deadline + timedelta(days=100)), *given)

    patch.setattr(TaskClock, "__init__", endless)


@mutant
def drops_what_is_on_its_way_at_the_end(patch: pytest.MonkeyPatch) -> None:
    """A result that is not home when its task ends is nobody's."""
    patch.setattr(Status, "leaves_a_result", lambda self: False)


@mutant
def asks_no_more_after_the_deadline(patch: pytest.MonkeyPatch) -> None:
    """Only what a vendor has reported is collected, and not what it is still at work on."""

    def reported(self: Status) -> bool:
        return self.state.terminal and any(each.outcome is Outcome.SUCCEEDED for each in self.attempts)

    patch.setattr(Status, "leaves_a_result", reported)


@mutant
def drops_an_answer_at_its_deadline(patch: pytest.MonkeyPatch) -> None:
    """What is not home when the time is over is let go."""
    patch.setattr(Downloading, "let_go", lambda self: None)


@mutant
def looks_at_no_answer_of_an_earlier_run(patch: pytest.MonkeyPatch) -> None:
    """What was answered before a crash is not looked for."""

    async def only_open(tools: Any, _catalog: Any) -> list[Any]:
        await tools.answered.open()
        return []

    patch.setattr(dispatcher, "match", only_open)


@mutant
def matches_answers_after_the_first_claim(patch: pytest.MonkeyPatch) -> None:
    """The first claim ends what is overdue or in doubt; then answers are looked for."""
    match, claim = vars(dispatcher)["match"], dispatcher.Dispatcher._claim

    async def later(*given: Any) -> list[Any]:
        late.append(given)
        return []

    async def claim_first(self: Any) -> float:
        pause = await claim(self)
        while late:
            await match(*late.pop())
        return pause

    late: list[Any] = []
    patch.setattr(dispatcher, "match", later)
    patch.setattr(dispatcher.Dispatcher, "_claim", claim_first)


@mutant
def compares_no_token(patch: pytest.MonkeyPatch) -> None:
    """An answer belongs to whatever attempt has its number."""
    original = vars(unread)["answered_attempt"]

    def anybodys(connection: Any, key: Any, _token: str) -> Any:
        known = row_by_id(connection, key.task_id) and token_of(connection, key)
        return original(connection, key, known or "")

    patch.setattr(unread, "answered_attempt", anybodys)


@mutant
def drops_what_it_cannot_read(patch: pytest.MonkeyPatch) -> None:
    """An answer in no known form is none."""

    async def drop(self: Any, key: Any) -> None:
        self.acted_on(key)

    patch.setattr(Answered, "keep", drop)


@mutant
def gives_up_without_a_descriptor(patch: pytest.MonkeyPatch) -> None:
    """A file that cannot be opened counts as a picture that is bad."""
    bring = Results._bring_once

    async def once(self: Any, output: Any) -> Any:
        try:
            return await bring(self, output)
        except OSError as error:
            raise BadResult(str(error)) from None

    patch.setattr(Results, "_bring_once", once)


@mutant
def ends_work_by_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    """A sweep ends what is overdue by the clock on the wall, whoever works on it."""
    patch.setattr(claims, "_is_owned", lambda row, now: False)
    statement = claims._OVERDUE
    overdue = select(TASK.c.number, TASK.c.task_id).where(IS_OPEN, TASK.c.deadline <= bindparam("now"))
    patch.setattr(claims, "_OVERDUE", type(statement)(overdue.limit(claims.MOST_OVERDUE)))


@mutant
def leaves_what_a_dead_process_had(patch: pytest.MonkeyPatch) -> None:
    """Leases of a process that died are respected for ever."""
    candidates = claims._candidates

    def only_free(connection: Any, *given: Any, **named: Any) -> list[Any]:
        return [row for row in candidates(connection, *given, **named) if _free(connection, row)]

    async def respect(self: SqliteDatabase) -> None:
        """Leave every lease as it is."""

    patch.setattr(SqliteDatabase, "recover", respect)
    patch.setattr(claims, "_candidates", only_free)
    patch.setattr(claims, "_expire", lambda connection, now, *given: False)


def _free(connection: Any, row: Any) -> bool:
    found = row_by_id(connection, row.task_id)
    return found is not None and found.lease_until is None


@mutant
def lets_progress_fall(patch: pytest.MonkeyPatch) -> None:
    """What the vendor says is shown as it is."""
    patch.setattr(
        transitions, "progress", lambda status, now, percent: replace(status, progress_percent=percent)
    )


@mutant
def ends_a_watch_in_silence(patch: pytest.MonkeyPatch) -> None:
    """A watch ends OK where a heartbeat was due."""
    watch = watching.Watching.watch

    async def until_silence(self: Any, *given: Any) -> Any:
        async for item in watch(self, *given):
            if isinstance(item, watching.Heartbeat):
                return
            yield item

    patch.setattr(watching.Watching, "watch", until_silence)


@mutant
def says_done_before_the_result_is_home(patch: pytest.MonkeyPatch) -> None:
    """A task succeeds with its input, since a download takes so long."""

    async def shortcut(self: Any, finished: Any, **_: Any) -> None:
        await self._recorder.succeed(tuple(given.image for given in self._recorder.task.request.images))

    patch.setattr(Downloading, "bring_home", shortcut)


@mutant
def cancels_only_what_waits(patch: pytest.MonkeyPatch) -> None:
    """CancelTask leaves a running task to its worker, and says that it was cancelled."""
    original = decisions.cancel_task

    def cancel(connection: Any, tenant: str, task_id: str, now: Any) -> Any:
        row = row_by_id(connection, task_id)
        if row is None:
            raise task_not_found()
        if State(row.state) is not State.RUNNING:
            return original(connection, tenant, task_id, now)
        task = with_attempts(connection, row)
        return replace(task, status=transitions.cancel(task.status, now))

    patch.setattr(editing_tasks, "cancel_task", cancel)


@mutant
def keeps_the_lease_of_what_it_cancels(patch: pytest.MonkeyPatch) -> None:
    """After a cancel the worker may go on paying."""

    def cancel(connection: Any, tenant: str, task_id: str, now: Any) -> Any:
        row: Any = row_by_id(connection, task_id)
        if State(row.state).terminal:
            return with_attempts(connection, row)
        task = append_event(connection, row, transitions.give_back, now)
        connection.execute(TASK.update().where(TASK.c.task_id == task_id).values(not_before=0))
        return replace(task, status=transitions.cancel(task.status, now))

    patch.setattr(editing_tasks, "cancel_task", cancel)
