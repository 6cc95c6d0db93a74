"""The one answer to whether the server was asked to stop."""

import pytest

from imageedit_server.core.draining import Draining
from imageedit_server.core.errors import Reason, Refusal


def test_nothing_is_refused_before_it_begins() -> None:
    draining = Draining()
    draining.refuse()
    assert not draining.begun
    assert draining.trouble() == ""


def test_once_begun_it_stays_so_and_tells_once() -> None:
    draining = Draining()
    heard: list[bool] = []
    draining.listen(lambda: heard.append(draining.begun))
    draining.begin()
    draining.begin()
    assert heard == [True]
    assert draining.trouble() == "draining"
    with pytest.raises(Refusal) as refused:
        draining.refuse()
    assert refused.value.reason is Reason.DRAINING
    assert refused.value.retry_after_seconds == 1
