"""The use cases, without transport and SQL: create, get, list, cancel, delete, watch, upload, download."""

from imageedit_server.editing.callbacks import Callbacks
from imageedit_server.editing.creating import Creating
from imageedit_server.editing.erasing import Erasing
from imageedit_server.editing.pictures import Pictures
from imageedit_server.editing.tasks import Tasks
from imageedit_server.editing.use_cases import UseCases
from imageedit_server.editing.watching import Heartbeat, Watching

__all__ = ["Callbacks", "Creating", "Erasing", "Heartbeat", "Pictures", "Tasks", "UseCases", "Watching"]
