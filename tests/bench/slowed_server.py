"""``imageedit-server`` with a planted slowness: ``python -m tests.bench.slowed_server serve …``.

Accepting an edit takes as many microseconds longer as the name of its user says: ``slowed-300``.
"""

import time
from typing import Any

from imageedit_server import cli
from imageedit_server.rpc.service import ImageEditService

SLOWED = "slowed-"


def main() -> None:
    """Plant it and run the command."""
    accept = ImageEditService.EditImage

    async def slowed(self: ImageEditService, request: Any, context: Any) -> Any:
        if request.user_id.startswith(SLOWED):
            until = time.thread_time() + float(request.user_id.removeprefix(SLOWED)) / 1e6
            while time.thread_time() < until:
                pass
        return await accept(self, request, context)

    setattr(ImageEditService, "EditImage", slowed)  # noqa: B010  mypy takes no new method for an old one
    cli.main()


if __name__ == "__main__":
    main()
