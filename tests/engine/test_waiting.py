"""How the end of a poll is counted."""

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.failure import Failure
from imageedit_server.providers.base import Finished, InProgress, Report
from imageedit_server.telemetry.metrics import REGISTRY
from tests.engine.house import DONE, House, Vendor

FAILURE = Failure(reason=FailureReason.PROVIDER_FAILED, message="The provider failed.")


async def test_polls_are_counted_in_the_words_of_the_dashboard(house: House, vendor: Vendor) -> None:
    said: list[InProgress | Finished | Failure] = [InProgress(), FAILURE, InProgress(), DONE]
    before = {outcome: polls(outcome) for outcome in ("running", "failed", "finished")}

    async def poll(vendor_task_id: str, report: Report) -> InProgress | Finished | Failure:
        return said.pop(0)

    vendor.poll = poll
    for _ in range(2):
        await house.ended(await house.create())
    assert {outcome: polls(outcome) - count for outcome, count in before.items()} == {
        "running": 2,
        "failed": 1,
        "finished": 1,
    }


def polls(outcome: str) -> float:
    labels = {"provider": "plain", "call": "poll", "outcome": outcome}
    return REGISTRY.get_sample_value("imageedit_provider_call_seconds_count", labels) or 0.0
