"""Signals reach whoever listens, and nobody after that."""

import pytest

from imageedit_server.runtime.signals import Signal


def test_a_signal_is_heard_while_somebody_listens() -> None:
    """By each listener, in order, with what is known."""
    signal, heard = Signal(), list[object]()
    signal("before")
    with signal.heard_by(heard.append), signal.heard_by(lambda fact: heard.append((fact, "again"))):
        signal("one")
    signal("after")
    assert heard == ["one", ("one", "again")]


def test_what_a_listener_raises_is_raised_where_the_signal_is_given() -> None:
    """And the listener is gone all the same."""
    signal = Signal()

    def fail() -> None:
        raise OSError("the disk")

    with signal.heard_by(fail), pytest.raises(OSError, match="the disk"):
        signal()
    signal()
