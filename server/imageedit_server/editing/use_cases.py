"""All use cases in one place, for the doors."""

from dataclasses import dataclass

from imageedit_server.editing.callbacks import Callbacks
from imageedit_server.editing.creating import Creating
from imageedit_server.editing.erasing import Erasing
from imageedit_server.editing.pictures import Pictures
from imageedit_server.editing.tasks import Tasks
from imageedit_server.editing.watching import Watching
from imageedit_server.providers.catalog import Catalog


@dataclass(frozen=True, kw_only=True, slots=True)
class UseCases:
    """What a door can ask for."""

    creating: Creating
    tasks: Tasks
    watching: Watching
    pictures: Pictures
    erasing: Erasing
    callbacks: Callbacks
    catalog: Catalog
