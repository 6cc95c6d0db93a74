"""``local/basic`` as the engine sees it: prepare, submit, and what is refused where."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imageedit_server.core.errors import FailureReason, Reason, Refusal
from imageedit_server.core.image import Image as StoredImage
from imageedit_server.core.model import MaskUse
from imageedit_server.core.request import Input, Kind, Request
from imageedit_server.core.sizes import accepts
from imageedit_server.outbound.client import ApiClient
from imageedit_server.providers.base import (
    Context,
    Finished,
    InputImage,
    Job,
    NotProcessed,
    PrepareError,
    ProviderOptions,
    Refused,
    SubmitSafety,
)
from imageedit_server.providers.local import LocalAdapter
from imageedit_server.providers.local.plan import PictureError
from imageedit_server.runtime.clock import SystemClock
from imageedit_server.runtime.workers import Overran, WorkerDied, WorkersBroken
from imageedit_server.sandbox.pool import WorkerPool
from imageedit_testing.members import held
from tests.providers.adapters import Reports, ThreadWorkers, holding
from tests.providers.local.support import PHOTO, brightness, mask_file, photo, picture_of


def _no_network(*_: object) -> ApiClient:
    raise AssertionError("local needs no network")


def _adapter(workers: Any = None, provider: str = "local") -> LocalAdapter:
    context = Context(
        provider=provider, clock=SystemClock(), workers=workers or ThreadWorkers(), connect=_no_network
    )
    return LocalAdapter(ProviderOptions(adapter="local"), context)


def _input(path: Path, width: int = 512, height: int = 600) -> InputImage:
    image = StoredImage(
        image_id="sha256:" + "0" * 64, media_type="image/jpeg", width=width, height=height, size_bytes=1
    )
    return InputImage(image=image, read=held(path.read_bytes()))


def _job(prompt: str, *, size: str = "auto", mask: InputImage | None = None) -> Job:
    return Job(
        request=Request(kind=Kind.EDIT_IMAGE, prompt=prompt, images=(Input(),)),
        model=_adapter().models[0],
        size=size,
        images=(_input(PHOTO),),
        mask=mask,
        attempt_key="key",
        deadline=datetime.now(UTC),
    )


async def _run(adapter: LocalAdapter, job: Job) -> Finished:
    return await adapter.submit(await adapter.prepare(job), Reports())


def test_the_model_and_its_limits():
    """What ListModels shows."""
    (model,) = _adapter().models
    assert (model.name, model.provider, model.vendor_name) == ("local/basic", "local", "basic")
    assert model.kinds == {Kind.EDIT_IMAGE, Kind.MODEL_EDIT}
    assert (model.min_images, model.max_images, model.max_reference_images, model.max_n) == (1, 1, 0, 1)
    assert model.mask is MaskUse.OPTIONAL
    assert model.option_family == ""
    assert all(accepts(model.sizes, size) for size in ("1024x1024", "4:3", "auto"))
    assert LocalAdapter.charge.is_free
    assert LocalAdapter.submit_safety is SubmitSafety.NATIVE_KEY


def test_the_model_bears_the_name_of_its_provider():
    assert _adapter(provider="mine").models[0].name == "mine/basic"


async def test_a_photo_is_edited_and_progress_is_told():
    adapter, reports = _adapter(), Reports()
    prepared = await adapter.prepare(_job("将肤色调亮一些，加一点暖色"))
    finished = await adapter.submit(prepared, reports)
    assert prepared.warnings == finished.warnings == ()
    (output,) = finished.outputs
    assert picture_of(output.content).size == (512, 600)
    assert brightness(picture_of(output.content)) > brightness(photo())
    assert reports.percents == sorted(reports.percents)
    assert len(reports.percents) > 1


async def test_what_is_not_applied_is_in_the_warnings():
    prepared = await _adapter().prepare(_job("put a hat on her and make it brighter"))
    assert prepared.warnings == (
        'The clause "put a hat on her" was not applied: local/basic cannot do that.',
    )


@pytest.mark.parametrize("size", ["auto", "4:3", "300x200"])
@pytest.mark.parametrize(
    "prompt", ["", "hello", "put a hat on her", "给她戴一顶帽子", "erase the logo", "ярче"]
)
async def test_nothing_understood_fails_before_anything_is_submitted(prompt, size):
    """And says what could be asked for; a size alone is no instruction."""
    with pytest.raises(PrepareError) as caught:
        await _adapter().prepare(_job(prompt, size=size))
    assert caught.value.failure.reason is FailureReason.INSTRUCTION_NOT_UNDERSTOOD
    assert "brightness" in caught.value.failure.message
    assert "erase" in caught.value.failure.message


def _request(prompt: str, *, masked: bool = False) -> Request:
    mask = Input(url="https://pictures.example/mask.png") if masked else None
    return Request(kind=Kind.EDIT_IMAGE, prompt=prompt, images=(Input(),), mask=mask)


def test_validating_names_the_clauses_that_would_be_left_out():
    """The prompt is read without a picture: ``validate_only`` costs nothing, and says what a task would."""
    adapter = _adapter()
    warnings = adapter.foresee(_request("put a hat on her and make it brighter"), adapter.models[0])
    assert warnings == ('The clause "put a hat on her" was not applied: local/basic cannot do that.',)
    assert adapter.foresee(_request("remove the logo", masked=True), adapter.models[0]) == ()
    assert adapter.foresee(_request("don't blur it"), adapter.models[0]) == (
        "The instructions ask for no change, so the picture is as it was.",
    )


@pytest.mark.parametrize(
    ("kind", "field"), [(Kind.EDIT_IMAGE, "prompt"), (Kind.MODEL_EDIT, "edit_instructions")]
)
@pytest.mark.parametrize("prompt", ["put a hat on her", "remove the logo", "ярче"])
def test_validating_refuses_what_would_fail(kind, field, prompt):
    """With the field that the prompt is called in the request."""
    adapter = _adapter()
    with pytest.raises(Refusal, match="local/basic can do, in English and Chinese: brightness") as caught:
        adapter.foresee(replace(_request(prompt), kind=kind), adapter.models[0])
    assert caught.value.reason is Reason.INSTRUCTION_NOT_UNDERSTOOD
    assert [violation.field for violation in caught.value.violations] == [field]


async def test_the_failure_names_the_clause_and_its_reason():
    with pytest.raises(PrepareError, match='The clause "erase the logo" was not applied: that needs a mask'):
        await _adapter().prepare(_job("erase the logo"))


async def test_a_prompt_that_only_forbids_changes_nothing_and_says_so():
    adapter = _adapter()
    prepared = await adapter.prepare(_job("don't blur it", size="1:1"))
    assert prepared.warnings == ("The instructions ask for no change, so the picture is as it was.",)
    finished = await adapter.submit(prepared, Reports())
    assert picture_of(finished.outputs[0].content).size == (512, 512)


async def test_a_mask_of_another_size_is_refused_before_anything_is_submitted(tmp_path):
    mask = _input(mask_file(tmp_path / "mask.png", (10, 10), Image.new("L", (10, 10))), 10, 10)
    with pytest.raises(PrepareError, match="mask is 10x10") as caught:
        await _adapter().prepare(_job("brighter", mask=mask))
    assert caught.value.failure.reason is FailureReason.INVALID_FIELD


class FailingWorkers(ThreadWorkers):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, function, /, *args, **kwargs):
        raise self._error


@pytest.mark.parametrize(
    ("error", "expected", "reason"),
    [
        (PictureError("The picture cannot be read."), Refused, FailureReason.IMAGE_UNDECODABLE),
        (WorkerDied(), NotProcessed, FailureReason.PROVIDER_UNAVAILABLE),
        (WorkersBroken(), NotProcessed, FailureReason.PROVIDER_UNAVAILABLE),
        (
            Refusal(Reason.DRAINING, "The server is stopping."),
            NotProcessed,
            FailureReason.PROVIDER_UNAVAILABLE,
        ),
        (Overran(), Refused, FailureReason.PROVIDER_FAILED),
        (MemoryError(), Refused, FailureReason.PROVIDER_FAILED),
        (ZeroDivisionError("a bug of ours"), Refused, FailureReason.PROVIDER_FAILED),
    ],
)
async def test_every_failure_proves_that_nothing_was_processed(error, expected, reason):
    """Nothing out of ``submit`` is ever ambiguous, and a bug is not tried again for ever."""
    with pytest.raises(expected) as caught:
        await _run(_adapter(FailingWorkers(error)), _job("brighter"))
    assert caught.value.failure.reason is reason
    assert "bug" not in caught.value.failure.message


async def test_in_real_worker_processes_the_same_attempt_gives_the_same_bytes(tmp_path):
    """An interrupted attempt is run again under the same number (DESIGN §4)."""
    mask = _input(mask_file(tmp_path / "mask.png", (512, 600), Image.linear_gradient("L").resize((512, 600))))
    job = _job("brighter, erase it, a bit sharper", mask=mask)
    pool = WorkerPool(size=1)
    try:
        first = await _run(_adapter(pool), job)
        assert await _run(_adapter(pool), job) == first
    finally:
        await pool.aclose()
    assert await _run(_adapter(), job) == first


async def test_a_broken_picture_crosses_the_process_border_as_what_it_is():
    job = holding(_job("brighter"), b"broken")
    pool = WorkerPool(size=1)
    try:
        with pytest.raises(Refused, match="The picture cannot be read"):
            await _run(_adapter(pool), job)
    finally:
        await pool.aclose()
