"""Late results: what a vendor finished after its task had ended is kept, and the task does not change."""

import asyncio
import logging

from imageedit_server.core.image import Image
from imageedit_server.core.task import Attempt, Billing, Outcome, State, Task
from imageedit_server.engine.ledger import Tools
from imageedit_server.engine.polling import POLL_LIMIT_SECONDS
from imageedit_server.engine.results import BadResult, ResultGone
from imageedit_server.providers.base import Failed, Running
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.store.attempts import AttemptKey, Fact, add_late_images, late_collected, learn
from imageedit_server.store.queries import find_task
from imageedit_server.telemetry.logs import note

FETCH_LIMIT_SECONDS = 600.0
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between the tries: a bad moment of the vendor must not cost what was paid for."""

_log = logging.getLogger(__name__)


async def collect_late(task_id: str, catalog: Catalog, tools: Tools) -> None:
    """Poll every attempt of an ended task that its vendor may have finished; keep what it made (P6)."""
    task = await tools.database.look_up(find_task, task_id)
    note(tenant=task.tenant, task_id=task_id)
    for attempt in task.status.attempts:
        provider = catalog.providers.get(attempt.provider)
        if provider and attempt.vendor_task_id and not _is_home(task, attempt):
            note(provider=provider.name, attempt=attempt.number)
            await _collect(task, attempt, provider, tools)
    await tools.database.record(late_collected, task_id)


def _is_home(task: Task, attempt: Attempt) -> bool:
    succeeded = task.status.state is State.SUCCEEDED and attempt.outcome is Outcome.SUCCEEDED
    return succeeded or bool(attempt.late_images)


async def _collect(task: Task, attempt: Attempt, provider: Provider, tools: Tools) -> None:
    for pause in (*PAUSES, None):
        try:
            images = await _images(attempt, provider, tools)
        except BadResult as error:
            _log.info("the late result is unusable: %s", error)
            return
        except Exception as error:  # noqa: BLE001  the seam says: any exception means ask again
            _log.info("the late result is not there yet: %s", type(error).__name__)
        else:
            await _keep(images, AttemptKey(task.task_id, attempt.number), provider, tools)
            return
        if pause is not None:
            await tools.clock.sleep(pause)
    _log.warning("the late result was not collected")


async def _images(attempt: Attempt, provider: Provider, tools: Tools) -> tuple[Image, ...]:
    """Return the result. Raises ``BadResult`` when there is none to come, anything else to ask again."""
    async with asyncio.timeout(POLL_LIMIT_SECONDS):
        answer = await provider.adapter.poll(attempt.vendor_task_id, _unheard)
    if isinstance(answer, Running):
        raise ResultGone
    if isinstance(answer, Failed):
        raise BadResult(answer.message)
    async with asyncio.timeout(FETCH_LIMIT_SECONDS):
        return await tools.results.bring_home(answer.outputs)


async def _keep(images: tuple[Image, ...], key: AttemptKey, provider: Provider, tools: Tools) -> None:
    now = tools.clock.now()
    billing = Billing.NOT_CHARGED if provider.adapter.free else Billing.CHARGED
    await tools.database.record(learn, key, Fact(outcome=Outcome.SUCCEEDED, billing=billing, end_time=now))
    await tools.database.record(add_late_images, key, images, now)


async def _unheard(*, progress_percent: int | None = None, preview: bytes | None = None) -> None:
    """The task has ended: nobody is told of progress."""
