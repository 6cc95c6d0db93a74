"""A restored copy pays for nothing that its original may have paid for (P32).

The original went on after the copy was made: every open task of a paid provider may have been paid since,
also one that the copy has in its queue. What the vendor can be asked about for free, and what has an answer
that was not read yet, goes on; the vendors that take a key of ours know the same call again. All others are
parked: nobody knows the outcome of their paid call.
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass

from imageedit_server.engine.patience import in_the_end
from imageedit_server.engine.tools import Tools
from imageedit_server.providers.base import SubmitSafety
from imageedit_server.providers.catalog import Catalog, Provider
from imageedit_server.store.attempts import AttemptKey
from imageedit_server.store.queries import find_task
from imageedit_server.store.restoring import open_tasks, park, served_from

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What the operator says of the data at a start: that they are a copy, or the very data in a new place.

    ``resubmit``: they are a copy, and the original paid for none of its open tasks.
    """

    restored: bool = False
    moved: bool = False
    resubmit: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoredCopy:
    """What is to be settled before anything is claimed.

    ``place`` is where the data are served from now, ``through`` the number of the newest task of the copy;
    ``resubmit`` is the operator's word that the original paid for none of them.
    """

    place: int
    through: int
    resubmit: bool


async def settle(copy: RestoredCopy, tools: Tools, catalog: Catalog) -> None:
    """Park what may have been paid for, then remember the place. A crash in between does it again."""
    if copy.resubmit:
        _log.warning("the data were restored from a copy; open tasks are sent again, as the operator says")
    else:
        paid = {name: each for name, each in catalog.providers.items() if _may_pay_twice(each)}
        parked = 0
        for task_id in await tools.database.read(open_tasks, copy.through, list(paid)):
            parked += await _park(task_id, paid, tools)
        _log.warning(
            "the data were restored from a copy: %d open tasks end as SUBMIT_OUTCOME_UNKNOWN, since the"
            " original may have paid for them; --resubmit-restored, with a fresh copy, sends them again",
            parked,
        )
    await in_the_end(lambda _: tools.database.record(served_from, copy.place), tools)


def _may_pay_twice(provider: Provider) -> bool:
    safety = provider.adapter.submit_safety
    return not provider.adapter.charge.is_free and safety is not SubmitSafety.NATIVE_KEY


async def _park(task_id: str, paid: dict[str, Provider], tools: Tools) -> bool:
    task = await tools.database.read(find_task, task_id)
    keys = [AttemptKey(task_id, attempt.number) for attempt in task.status.attempts]
    if any(map(tools.answered.is_unread, keys)):
        return False
    billing = paid[task.request.provider].adapter.charge.intended
    token_sha256 = hashlib.sha256(secrets.token_bytes(32)).hexdigest()
    parked = await in_the_end(
        lambda now: tools.database.record(park, task_id, billing, token_sha256, now), tools
    )
    return parked is not None
