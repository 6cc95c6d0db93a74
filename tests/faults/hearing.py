"""As ``planting``, where a process looks more often whether it takes new connections."""

from imageedit_server.rpc import acceptance
from tests.faults import planting

LOOK_SECONDS = 0.02
ANSWER_SECONDS = 0.2


def plant(order: str) -> None:
    """Begin to count, as ``planting.plant`` does."""
    planting.plant(order)
    acceptance.LOOK_SECONDS, acceptance.ANSWER_SECONDS = LOOK_SECONDS, ANSWER_SECONDS
