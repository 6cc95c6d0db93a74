"""What an edit may cost the disk, so that no change raises it unseen: commits, and pages of the log.

Counted in the log itself. The figures are in docs/measured.md; they rise only in a commit that tells why.
"""

import asyncio
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from imageedit_server.core import transitions
from imageedit_server.core.charge import Billing
from imageedit_server.core.request import Input
from imageedit_server.core.task import Attempt, Outcome, Stage, Status
from imageedit_server.store.attempts import AttemptKey, Fact, begin_attempt, learn_and_end
from imageedit_server.store.claims import claim
from imageedit_server.store.creation import create_task
from imageedit_server.store.sqlite.database import SqliteDatabase
from imageedit_server.store.sqlite.file import DATABASE_NAME
from tests.store.making import LEASE, NOW, image, new_task

WARM_UP = 40
EDITS = 20
COMMITS = 3
"""An edit's: created and claimed, intended, ended with its picture."""
PAGES = 33
PAGES_WITH_USER = 35
PAGE_BYTES = 4096
FRAME_BYTES = 24 + PAGE_BYTES
"""Before each page there is a head, whose second word is not 0 in the last page of a commit."""


def frames(folder: Path) -> list[bytes]:
    """Return the head of every page that is in the log since the last checkpoint."""
    log = (folder / f"{DATABASE_NAME}-wal").read_bytes()
    heads = [log[at : at + 24] for at in range(32, len(log), FRAME_BYTES)]
    return [head for head in heads if head[8:16] == log[16:24]]


def commits(heads: list[bytes]) -> int:
    return sum(head[4:8] != bytes(4) for head in heads)


async def edited(database: SqliteDatabase, number: int, user_id: str) -> None:
    """Carry an edit, with pictures of its own, as the engine does: the claim comes with the creation."""
    now = NOW + timedelta(seconds=number)
    given, made = image(f"input {number}"), image(f"output {number}")
    new = new_task(now=now, images=(Input(image=given),), user_id=user_id)
    _, claims = await asyncio.gather(
        database.write(create_task, new, (given,)),
        database.record(claim, now=now, lease_until=now + LEASE, free_by_provider={"p": 9}, most=9),
    )
    [claimed] = claims.claimed
    attempt = Attempt(number=1, provider="p", submit_time=now)
    token_sha256 = sha256(new.task_id.encode()).hexdigest()
    await database.record(begin_attempt, claimed.lease, attempt, token_sha256, _submitting)
    await database.record(
        learn_and_end,
        claimed.lease,
        AttemptKey(new.task_id, 1),
        Fact(outcome=Outcome.SUCCEEDED, billing=Billing.CHARGED, end_time=now),
        reach=_downloading,
        end=lambda status, at: transitions.succeed(status, at, (made,)),
        images=(made,),
        now=now,
    )


def _submitting(status: Status, now: datetime) -> Status:
    return transitions.enter(status, now, Stage.SUBMITTING)


def _downloading(status: Status, now: datetime) -> Status:
    return transitions.enter(status, now, Stage.DOWNLOADING)


@pytest.mark.parametrize(("user_id", "most"), [("", PAGES), ("someone", PAGES_WITH_USER)])
async def test_an_edit_writes_few_pages_in_three_commits(
    database: SqliteDatabase, tmp_path: Path, user_id: str, most: int
) -> None:
    for number in range(WARM_UP):
        await edited(database, number, user_id)
    await database.scrub()
    for number in range(WARM_UP, WARM_UP + EDITS):
        await edited(database, number, user_id)
    heads = frames(tmp_path)
    assert commits(heads) == COMMITS * EDITS
    assert len(heads) / EDITS <= most
