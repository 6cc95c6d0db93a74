"""Answers in files as another server would have left them."""

import os
import secrets
import zlib
from datetime import UTC, datetime
from pathlib import Path

from imageedit_server.answers import layout
from imageedit_server.answers.layout import Asked
from imageedit_server.outbound.answers import Ended

FOREIGN_TOKEN = "f" * 64


def write_answer(folder: Path, task_id: str, body: bytes) -> None:
    """Write a whole answer to the first attempt of a task, asked for under a token that is not ours."""
    now = datetime.now(UTC)
    asked = Asked(
        task_id=task_id,
        attempt=1,
        token_sha256=FOREIGN_TOKEN,
        provider="plain",
        version="1",
        call_time=now,
        brief={},
    )
    end = layout.end_record(Ended.WHOLE, "", size_bytes=len(body), crc=zlib.crc32(body), answer_time=now)
    descriptor = os.open(folder / secrets.token_hex(16), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.pwrite(descriptor, layout.asked_record(asked), layout.ASKED_AT)
        os.pwrite(descriptor, layout.head_record(200, {}), layout.HEAD_AT)
        os.pwrite(descriptor, end, layout.END_AT)
        os.pwrite(descriptor, body, layout.BODY_AT)
    finally:
        os.close(descriptor)
