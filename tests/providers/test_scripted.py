"""The test double that ships works as long as it is told to, in as many steps."""

import pytest

from imageedit_server.core.image import Image
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.outbound.client import ApiClient
from imageedit_server.providers.base import Context, Finished, InputImage, Job
from imageedit_server.providers.scripted import ScriptedAdapter, ScriptedOptions
from imageedit_testing.members import held
from tests.providers.adapters import NOW, Reports, StandingClock, ThreadWorkers

IMAGE = Image(image_id="sha256:", media_type="image/png", width=1, height=1, size_bytes=2)


def _job(adapter: ScriptedAdapter) -> Job:
    return Job(
        request=Request(kind=Kind.EDIT_IMAGE, prompt="brighter", images=(Input(),)),
        model=adapter.models[0],
        size="auto",
        images=(InputImage(image=IMAGE, read=held(b"11")),),
        attempt_key="key",
        deadline=NOW,
    )


@pytest.mark.parametrize("steps", [0, 1, 2, 100])
async def test_it_works_as_long_as_it_is_told_to(steps: int) -> None:
    def connect(*_: object) -> ApiClient:
        raise AssertionError("no network is needed")

    clock, reports = StandingClock(), Reports()
    context = Context(provider="scripted", clock=clock, workers=ThreadWorkers(), connect=connect)
    options = ScriptedOptions(adapter="scripted", seconds=40, steps=steps, submit_seconds=30)
    adapter = ScriptedAdapter(options, context)
    made = await adapter.submit(await adapter.prepare(_job(adapter)), reports)
    assert isinstance(made, Finished)
    assert sum(clock.slept) == pytest.approx(40)
    assert len(reports.percents) == steps
    assert adapter.work_seconds == 40  # which the engine adds to the limit of a call
