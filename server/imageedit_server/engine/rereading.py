"""Kept answers, read once more by a version that has not tried: slowly, and behind all other work (P31)."""

import logging
from collections.abc import Sequence

from imageedit_server.answers.reading import Stored
from imageedit_server.core.image import Image
from imageedit_server.engine.patience import in_the_end
from imageedit_server.engine.reading import best_of
from imageedit_server.engine.results import BadResult, ResultGone
from imageedit_server.engine.tools import Tools
from imageedit_server.engine.unread import fact_of
from imageedit_server.providers.base import Accepted, Finished, SubmitError
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.runtime.workers import on_behalf_of
from imageedit_server.store.answers import AnsweredAttempt, answered_attempt, learn_from_kept_file
from imageedit_server.store.attempts import AttemptKey

PAUSE_SECONDS = 1.0
"""Between two answers, so that nobody notices."""

_log = logging.getLogger(__name__)


async def read_kept_again(kept: Sequence[Stored], tools: Tools, catalog: Catalog) -> None:
    """Read what another version could not; bring home what is in it, and say how much that was."""
    untried = [stored for stored in kept if stored.tried != tools.answered.version]
    recovered = 0
    for stored in untried:
        await tools.clock.sleep(PAUSE_SECONDS)
        try:
            recovered += await read_again(stored, tools, catalog)
        except Exception:  # noqa: BLE001  a kept answer must not end what serves
            _log.exception("reading a kept answer broke off")
    if untried:
        _log.info("kept answers read again: %d, recovered: %d", len(untried), recovered)


async def read_task_again(task_id: str, tools: Tools, catalog: Catalog) -> int:
    """Read the kept answers of one task, whichever version tried before; return how many were recovered."""
    with tools.results.holding():
        return sum(
            [await read_again(stored, tools, catalog) for stored in await tools.answered.kept_for(task_id)]
        )


async def read_again(stored: Stored, tools: Tools, catalog: Catalog) -> bool:
    """Read one kept answer; say whether what it holds is home, or on its way."""
    key = AttemptKey(stored.asked.task_id, stored.asked.attempt)
    found = await tools.database.look_up(answered_attempt, key, stored.asked.token_sha256)
    if found is None or found.is_home:
        tools.answered.drop(stored.path)
        return False
    provider = catalog.providers.get(found.attempt.provider)
    try:
        if provider is not None and await _recovered(stored, found, provider, tools):
            return True
    except OSError as error:  # of the disk: this version has not tried
        _log.warning("a kept answer cannot be read yet: %s", error.strerror)
        return False
    except (SubmitError, BadResult, ResultGone) as error:
        _log.info("a kept answer still cannot be read: %s", error)
    await tools.answered.keep_file(stored.path)
    return False


async def _recovered(stored: Stored, found: AnsweredAttempt, provider: Provider, tools: Tools) -> bool:
    answer = await tools.answered.read_file(stored.path)
    if answer is None:
        return False
    _, meant = await best_of(provider.adapter, [answer])
    images: tuple[Image, ...] = ()
    if isinstance(meant, Finished) and found.task.status.state.terminal:
        with on_behalf_of(found.task.tenant):
            images = await tools.results.bring_home(meant.outputs)
    fact = fact_of(answer, meant, provider, tools.clock.now())
    await in_the_end(
        lambda now: tools.database.record(learn_from_kept_file, found.key, fact, images, now), tools
    )
    if isinstance(meant, Accepted) or found.task.status.state.terminal:
        tools.answered.drop(stored.path)
    else:  # its run goes on from the file
        tools.answered.found(found.key, stored.path)
    _log.info("a kept answer was read: task %s, attempt %d", found.key.task_id, found.key.number)
    return True
