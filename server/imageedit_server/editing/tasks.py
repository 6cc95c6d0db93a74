"""What callers do with tasks that exist: get, list, cancel. Each within its tenant."""

from collections.abc import Sequence
from dataclasses import dataclass

from imageedit_server.core.errors import invalid, task_not_found
from imageedit_server.core.task import TASK_ID, State, Task
from imageedit_server.editing.page_tokens import PageTokens
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.database import Database
from imageedit_server.store.decisions import cancel_task
from imageedit_server.store.queries import get_task, list_tasks

DEFAULT_PAGE = 50
MAX_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Tasks, newest first. ``next_token`` is empty on the last page."""

    tasks: tuple[Task, ...]
    next_token: str


class Tasks:
    """Reads and ends tasks."""

    def __init__(self, database: Database, clock: Clock, tokens: PageTokens) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens

    async def get(self, tenant: str, task_id: str) -> Task:
        """Return a task as it is now. Raises TASK_NOT_FOUND, also for an id that is not well formed."""
        check_task_id(task_id)
        task = await self._database.look_up(get_task, tenant, task_id)
        if task is None:
            raise task_not_found()
        return task

    async def list(
        self, tenant: str, *, user_id: str, states: Sequence[State], page_size: int, page_token: str
    ) -> Page:
        """Return one page. Raises INVALID_FIELD for a negative size or a token of another list or none."""
        if page_size < 0:
            raise invalid("page_size", "must not be negative")
        size = min(page_size or DEFAULT_PAGE, MAX_PAGE)
        states = tuple(sorted(set(states or State)))
        this_list = (tenant, user_id, *states)
        found = await self._database.read(
            list_tasks,
            tenant,
            user_id=user_id,
            states=states,
            before=self._number_in(page_token, this_list) if page_token else None,
            most=size + 1,
        )
        shown = found[:size]
        more = len(found) > size
        token = self._tokens.seal(shown[-1][0], this_list) if more else ""
        return Page(tuple(task for _, task in shown), token)

    def _number_in(self, token: str, this_list: tuple[str, ...]) -> int:
        try:
            return self._tokens.open(token, this_list)
        except ValueError:
            raise invalid("page_token", "was not given for these filters; start again without one") from None

    async def cancel(self, tenant: str, task_id: str) -> Task:
        """End a task; a finished one is returned as it is. Raises TASK_NOT_FOUND."""
        check_task_id(task_id)
        return await self._database.write(cancel_task, tenant, task_id, self._clock.now())


def check_task_id(task_id: str) -> None:
    """Raise TASK_NOT_FOUND for an id that is not well formed: nobody was ever given it."""
    if not TASK_ID.fullmatch(task_id):
        raise task_not_found()
