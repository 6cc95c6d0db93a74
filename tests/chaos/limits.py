"""Limits of minutes made seconds, so that patience can be waited for. The rules stay as they are."""

from dataclasses import replace
from datetime import timedelta

import pytest

from imageedit_server.engine import inputs, results, waiting
from imageedit_server.providers.kie import adapter as kie_adapter
from imageedit_server.providers.kie import answers as kie_answers
from imageedit_server.providers.kie import records as kie_records
from imageedit_server.providers.kie import uploads as kie_uploads
from imageedit_server.providers.suitme import adapter as suitme_adapter

READ_SECONDS = 4.0


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every wall limit short that no setting makes so."""
    monkeypatch.setattr(waiting, "POLL_LIMIT_SECONDS", READ_SECONDS)
    monkeypatch.setattr(waiting, "UNKNOWN_GRACE", timedelta(seconds=8))
    monkeypatch.setattr(results, "FETCH_SECONDS", READ_SECONDS)
    monkeypatch.setattr(results, "RETRY_SECONDS", (0.1,))
    monkeypatch.setattr(inputs, "FETCH_SECONDS", READ_SECONDS)
    monkeypatch.setattr(kie_adapter, "READ_SECONDS", READ_SECONDS)
    monkeypatch.setattr(suitme_adapter, "READ_SECONDS", READ_SECONDS)
    monkeypatch.setattr(kie_uploads, "UPLOAD_SECONDS", READ_SECONDS)
    for module in (kie_answers, kie_uploads):
        monkeypatch.setattr(module, "UPLOAD_RETRY_SECONDS", 4.0)
    for code, end in kie_records.POLL_ENDS.items():
        patience = replace(end.patience, seconds=min(end.patience.seconds, 0.2))
        monkeypatch.setitem(kie_records.POLL_ENDS, code, replace(end, patience=patience))
