"""How fast a caller sends, and what is not his to answer for (F82)."""

import time

import pytest

from imageedit_server.access import pace


def test_the_pace_counts_the_time_of_waiting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    found = pace.Pace()
    for second in range(30):
        with found.waiting():
            now += 1.0
            if second >= 10:
                expected = 1000 if second == 10 else None if second < 20 else 100
                assert expected is None or found.bytes_per_second() == pytest.approx(expected, rel=0.2)
            else:
                assert (found.bytes_per_second() is None) is (second < 9)
        found.came(1000 if second < 10 else 100)
        now += 100.0  # what we do with it
        assert found.bytes_per_second() is None
