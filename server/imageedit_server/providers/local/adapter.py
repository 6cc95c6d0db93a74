"""``local/basic``: the embedded provider, which edits pictures with Pillow, offline and free (DESIGN §7)."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from imageedit_server.core.charge import FREE, Charge
from imageedit_server.core.errors import FailureReason, Reason, invalid
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import PROMPT_FIELDS, Kind, Request
from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, AUTO
from imageedit_server.providers.base import (
    Adapter,
    Context,
    Finished,
    InputImage,
    Job,
    NotProcessed,
    Output,
    Prepared,
    PrepareError,
    ProviderOptions,
    Refused,
    Report,
    SubmitSafety,
)
from imageedit_server.providers.local.edits import edit
from imageedit_server.providers.local.language.instructions import Reading, understand
from imageedit_server.providers.local.plan import Edited, Originals, PictureError, Plan
from imageedit_server.providers.outcomes import WORKER_LOST, refused, worker_lost
from imageedit_server.runtime.workers import Overran

MIB = 1024 * 1024

ABILITIES = (
    "brightness, contrast, saturation, warmth, black and white, sepia, fade, invert, tint with a color, "
    "vignette, blur, sharpen, flip, rotate, crop, resize; the same for skin, shadows or highlights alone; "
    "inside a mask also fill and erase"
)
NO_CHANGE = "The instructions ask for no change, so the picture is as it was."

_log = logging.getLogger(__name__)


class LocalAdapter(Adapter):
    """Edits one picture by instructions in English and Chinese, in a worker process."""

    submit_safety: ClassVar[SubmitSafety] = SubmitSafety.NATIVE_KEY
    charge: ClassVar[Charge] = FREE

    def __init__(self, options: ProviderOptions, context: Context) -> None:
        self._workers = context.workers
        self.models = [
            Model(
                name=f"{context.provider}/basic",
                vendor_name="basic",
                provider=context.provider,
                kinds=frozenset({Kind.EDIT_IMAGE, Kind.MODEL_EDIT}),
                max_prompt_chars=4000,
                mask=MaskUse.OPTIONAL,
                sizes=(AUTO, ANY_PIXELS, ANY_RATIO),
                max_image_bytes=20 * MIB,
            )
        ]

    def foresee(self, request: Request, model: Model) -> tuple[str, ...]:
        """Name the clauses that would be left out. Raises a ``Refusal`` when all of them would be."""
        reading = understand(request.prompt, masked=request.mask is not None)
        if _is_empty(reading):
            why = f"would not be understood: {_nothing(reading, model)}"
            raise invalid(PROMPT_FIELDS[request.kind], why, Reason.INSTRUCTION_NOT_UNDERSTOOD)
        return _warnings(reading, model)

    async def prepare(self, job: Job) -> Prepared:
        """Understand the instructions. Raises ``PrepareError`` when nothing of them can be done."""
        image, mask = job.images[0], job.mask
        if mask and (mask.image.width, mask.image.height) != (image.image.width, image.image.height):
            raise PrepareError(FailureReason.INVALID_FIELD, _sizes_differ(job))
        reading = understand(job.request.prompt, masked=mask is not None)
        if _is_empty(reading):
            raise PrepareError(FailureReason.INSTRUCTION_NOT_UNDERSTOOD, _nothing(reading, job.model))
        plan = Plan(steps=reading.steps, size=job.size)
        return Prepared(payload=_Edit(image, mask, plan), warnings=_warnings(reading, job.model))

    async def submit(self, prepared: Prepared, report: Report) -> Finished:
        """Edit the picture. Done again, it gives the same bytes."""
        work = prepared.payload
        assert isinstance(work, _Edit)
        await report(progress_percent=10)
        edited = await self._edited(work)
        await report(progress_percent=90)
        return Finished(outputs=(Output(content=edited.content),), warnings=edited.warnings)

    async def _edited(self, work: "_Edit") -> Edited:
        try:
            return await self._workers.run_on(work.originals, edit, work.plan)
        except PictureError as error:
            raise refused(FailureReason.IMAGE_UNDECODABLE, str(error)) from error
        except PrepareError as error:
            raise Refused(error.failure) from error
        except NotProcessed:
            raise
        except WORKER_LOST as error:
            raise worker_lost() from error
        except (Overran, MemoryError) as error:
            message = "The edit takes more time or memory than one picture may."
            raise refused(FailureReason.PROVIDER_FAILED, message) from error
        except Exception as error:  # a bug of ours would fail alike each time: not to be tried for ever
            _log.exception("the edit failed: %s", work.plan.steps)
            raise refused(FailureReason.PROVIDER_FAILED, "The edit failed on this picture.") from error


@dataclass(frozen=True, slots=True)
class _Edit:
    """An edit that was understood."""

    image: InputImage
    mask: InputImage | None
    plan: Plan

    async def originals(self) -> Originals:
        return Originals(image=await self.image.read(), mask=await self.mask.read() if self.mask else None)


def _sizes_differ(job: Job) -> str:
    assert job.mask is not None
    mask, image = job.mask.image, job.images[0].image
    return (
        f"mask is {mask.width}x{mask.height}, but must be as large as the image: {image.width}x{image.height}"
    )


def _is_empty(reading: Reading) -> bool:
    return not reading.steps and not reading.content


def _warnings(reading: Reading, model: Model) -> tuple[str, ...]:
    unchanged = () if reading.steps else (NO_CHANGE,)
    return (*reading.warnings(model.name), *unchanged)


def _nothing(reading: Reading, model: Model) -> str:
    why = " ".join(reading.warnings(model.name)[:3]) or "No instruction was understood."
    return f"{why} {model.name} can do, in English and Chinese: {ABILITIES}."
