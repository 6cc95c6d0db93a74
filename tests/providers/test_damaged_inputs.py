"""Free providers read their picture in ``submit``: what is wrong with its bytes leaves nothing in doubt."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.image import Image
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.outbound.client import ApiClient
from imageedit_server.providers.base import (
    Adapter,
    Context,
    InputImage,
    Job,
    NotProcessed,
    PrepareError,
    ProviderOptions,
    Refused,
)
from imageedit_server.providers.local import LocalAdapter
from imageedit_server.providers.outcomes import not_processed
from imageedit_server.providers.scripted import ScriptedAdapter, ScriptedOptions
from imageedit_testing.members import held
from tests.providers.adapters import Reports, StandingClock, ThreadWorkers

DAMAGED = PrepareError(FailureReason.IMAGE_UNDECODABLE, "A stored picture is damaged.")
AWAY = not_processed(FailureReason.INPUT_FETCH_FAILED, "The disk is away.")
IMAGE = Image(image_id="sha256:", media_type="image/png", width=1, height=1, size_bytes=2)


def _context(provider: str) -> Context:
    def connect(*_: object) -> ApiClient:
        raise AssertionError("no network is needed")

    return Context(provider=provider, clock=StandingClock(), workers=ThreadWorkers(), connect=connect)


def _local() -> Adapter:
    return LocalAdapter(ProviderOptions(adapter="local"), _context("local"))


def _scripted() -> Adapter:
    return ScriptedAdapter(ScriptedOptions(adapter="scripted", steps=0), _context("scripted"))


def _job(adapter: Adapter, error: Exception, *, in_mask: bool) -> Job:
    """Return a job of which one picture cannot be read."""

    async def broken() -> bytes:
        raise error

    bad = InputImage(image=IMAGE, read=broken)
    good = InputImage(image=IMAGE, read=held(b"11"))
    return Job(
        request=Request(kind=Kind.EDIT_IMAGE, prompt="brighter", images=(Input(),)),
        model=adapter.models[0],
        size="auto",
        images=(good if in_mask else bad,),
        mask=bad if in_mask else None,
        attempt_key="key",
        deadline=datetime.now(UTC),
    )


CASES = pytest.mark.parametrize(
    ("make", "in_mask"),
    [(_local, False), (_local, True), (_scripted, False)],
    ids=["local", "local's mask", "scripted"],
)


@CASES
async def test_a_damaged_picture_is_refused(make: Callable[[], Adapter], in_mask: bool) -> None:
    adapter = make()
    prepared = await adapter.prepare(_job(adapter, DAMAGED, in_mask=in_mask))
    with pytest.raises(Refused) as raised:
        await adapter.submit(prepared, Reports())
    assert raised.value.failure == DAMAGED.failure


@CASES
async def test_one_that_is_away_may_be_read_later(make: Callable[[], Adapter], in_mask: bool) -> None:
    adapter = make()
    prepared = await adapter.prepare(_job(adapter, AWAY, in_mask=in_mask))
    with pytest.raises(NotProcessed) as raised:
        await adapter.submit(prepared, Reports())
    assert raised.value is AWAY
