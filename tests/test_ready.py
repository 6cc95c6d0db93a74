"""What the command does once the server is ready."""

import gc

import pytest

from imageedit_server.cli import app


def test_no_search_for_garbage_looks_at_what_was_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    before = gc.get_threshold()
    try:
        app.announce("ready")
        assert gc.get_freeze_count() > 10_000
        assert gc.get_threshold() == app.COLLECT_AFTER
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert capsys.readouterr().out == "ready\n"
