"""What is kept for a while: within its bounds, and the longer the more it is asked for."""

from imageedit_server.runtime.recent import Recent


def test_no_more_is_kept_than_there_may_be() -> None:
    kept: Recent[int, str] = Recent(10)
    for number in range(1000):
        kept.put(number, "x")
        assert kept.get(number) == "x"
        assert sum(kept.get(earlier) is not None for earlier in range(number + 1)) <= 10


def test_what_is_asked_for_stays() -> None:
    kept: Recent[int, str] = Recent(10)
    kept.put(0, "x")
    for number in range(1, 1000):
        kept.put(number, "y")
        assert kept.get(0) == "x"


def test_the_sizes_count_together_and_what_is_too_large_keeps_nothing_long() -> None:
    kept: Recent[int, bytes] = Recent(100, size=len)
    kept.put(0, bytes(1000))
    kept.put(1, bytes(30))
    kept.put(2, bytes(30))
    assert [kept.get(number) is None for number in range(3)] == [True, False, False]
