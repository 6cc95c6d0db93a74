"""The test double that ships: no vendor, echoes its first input. For load tests, demos and our own tests."""

from typing import ClassVar

from pydantic import Field

from imageedit_server.core.charge import FREE, Charge
from imageedit_server.core.errors import FailureReason
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import Kind
from imageedit_server.core.sizes import AUTO
from imageedit_server.providers.base import (
    DAY,
    Accepted,
    Adapter,
    Context,
    Finished,
    InProgress,
    Job,
    Output,
    Prepared,
    PrepareError,
    ProviderOptions,
    Refused,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.outcomes import refused

MIB = 1024 * 1024


class ScriptedOptions(ProviderOptions):
    """``seconds`` is how long it works; ``steps`` how many progress events it makes on the way."""

    seconds: float = Field(default=0.0, ge=0, le=DAY)
    steps: int = Field(default=2, ge=0, le=100)


class ScriptedAdapter(Adapter):
    """``scripted/ok`` succeeds, ``scripted/fail`` is refused, ``scripted/never`` never ends."""

    Options = ScriptedOptions
    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NATIVE_KEY
    charge: ClassVar[Charge] = FREE

    def __init__(self, options: ScriptedOptions, context: Context) -> None:
        self._options = options
        self.work_seconds = options.seconds
        self._clock = context.clock
        self.models = [self._model(name, context.provider) for name in ("ok", "fail", "never")]

    def _model(self, name: str, provider: str) -> Model:
        return Model(
            name=f"{provider}/{name}",
            vendor_name=name,
            provider=provider,
            kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
            max_prompt_chars=32_000,
            max_images=16,
            max_reference_images=16,
            mask=MaskUse.OPTIONAL,
            sizes=(AUTO,),
            max_n=10,
            max_image_bytes=20 * MIB,
        )

    async def prepare(self, job: Job) -> Prepared:
        """Keep the job as it is."""
        return Prepared(payload=job)

    async def submit(self, prepared: Prepared, report: Report) -> Accepted | Finished:
        """Do what the model's name says."""
        job = prepared.payload
        assert isinstance(job, Job)
        if job.model.vendor_name == "never":
            return Accepted(vendor_task_id=job.attempt_key)
        parts = self._options.steps + 1
        for step in range(1, parts):
            await self._clock.sleep(self._options.seconds / parts)
            await report(progress_percent=100 * step // parts)
        await self._clock.sleep(self._options.seconds / parts)
        if job.model.vendor_name == "fail":
            raise refused(FailureReason.PROVIDER_REJECTED, "The scripted model refuses everything.")
        try:
            content = await job.images[0].read()
        except PrepareError as error:
            raise Refused(error.failure) from error
        return Finished(outputs=tuple(Output(content=content) for _ in range(job.request.n)))

    async def poll(self, vendor_task_id: str, report: Report) -> InProgress:
        """Only ``scripted/never`` is ever polled."""
        return InProgress()
