"""The size of a task's result: chosen once, as soon as what it depends on is known."""

from imageedit_server.core import transitions
from imageedit_server.core.model import Model
from imageedit_server.core.request import Request
from imageedit_server.core.sizes import AUTO, nearest
from imageedit_server.core.task import Status


def with_size(status: Status, request: Request, model: Model) -> Status:
    """Choose as asked for, else the model's default, else nearest to the first image (DESIGN §2, Size).

    Leaves the status as it is while the first image is still to be fetched. A choice of ours is a warning.
    """
    if request.size not in ("", AUTO):
        return transitions.choose_size(status, request.size)
    if model.default_size:
        return transitions.choose_size(status, model.default_size)
    image = request.images[0].image if request.images else None
    if image is None:
        return status
    size = nearest(model.sizes, image.width, image.height)
    if size in ("", AUTO):
        return transitions.choose_size(status, size)
    warning = (
        f"The size {size} was chosen: of those of {model.name} it is nearest to {image.width}x{image.height}."
    )
    return transitions.warn(transitions.choose_size(status, size), (warning,))
