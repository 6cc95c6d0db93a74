"""What every part of a run works with."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from imageedit_server.core.draining import Draining
from imageedit_server.engine.answered import Answered
from imageedit_server.engine.inputs import Inputs
from imageedit_server.engine.results import Results
from imageedit_server.feed.base import Feed
from imageedit_server.runtime.clock import Clock
from imageedit_server.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What every run works with. ``public_url`` is where vendors reach our callbacks, empty for nowhere.

    ``result_grace`` is how long after its deadline a task may still end with a result that the vendor has
    reported, ``unknown_window`` how long a callback may settle a paid call of unknown outcome.
    ``erase_bytes`` removes the bytes of those images that no row speaks of and nobody has in hand.
    """

    database: Database
    feed: Feed
    draining: Draining
    inputs: Inputs
    results: Results
    answered: Answered
    clock: Clock
    public_url: str = ""
    result_grace: timedelta = timedelta(minutes=1)
    unknown_window: timedelta = timedelta(minutes=30)
    erase_bytes: Callable[[Collection[str]], Awaitable[None]]
