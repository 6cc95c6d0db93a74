"""Tasks that need no vendor: a default model that is the caller's own picture."""

import asyncio
import logging

from imageedit_server.core.charge import FREE
from imageedit_server.core.errors import FailureReason
from imageedit_server.engine.recorder import Recorder
from imageedit_server.engine.tools import Tools
from imageedit_server.providers.base import NotProcessed, PrepareError
from imageedit_server.store.claims import Claimed
from imageedit_server.store.log import LeaseLost
from imageedit_server.telemetry.logs import note

NO_PROVIDER = ""
"""The provider of such a task."""

_log = logging.getLogger(__name__)


async def adopt(claimed: Claimed, tools: Tools) -> None:
    """Finish a task without a provider: its input is its result. One whose model left fails."""
    recorder = Recorder(claimed, tools, FREE)
    note(tenant=recorder.task.tenant, task_id=recorder.task.task_id)
    try:
        if recorder.task.request.provider == NO_PROVIDER:
            await _adopt(recorder, tools)
        else:
            gone = f"The model {recorder.task.request.model} is no longer served here."
            await recorder.fail_because(FailureReason.PROVIDER_DISABLED, gone)
    except LeaseLost:
        _log.info("the task was finished by somebody else")


async def _adopt(recorder: Recorder, tools: Tools) -> None:
    try:
        async with asyncio.timeout(recorder.clock.remaining()):
            request = await tools.inputs.fetched(recorder.task.request)
    except TimeoutError:
        await recorder.expire()
    except PrepareError as error:
        await recorder.fail(error.failure)
    except NotProcessed as error:
        await recorder.give_back(error)
    else:
        await recorder.succeed(tuple(given.image for given in request.images if given.image))
