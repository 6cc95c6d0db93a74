"""One paid call made ready: pictures in the vendor's formats, and the form."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Input
from imageedit_server.outbound.client import Part
from imageedit_server.pictures.ready import Ready, Taken, make_mask_ready
from imageedit_server.providers.base import Job, Prepared, PrepareError
from imageedit_server.providers.openai.asks import COMPARED, Ask
from imageedit_server.providers.openai.checking import check_pictures, picture_field
from imageedit_server.providers.openai.form import fields_of, parts_of, size_of
from imageedit_server.providers.openai.rules import Rules
from imageedit_server.providers.outcomes import made_ready
from imageedit_server.providers.sending import losses, picture_for
from imageedit_server.runtime.workers import Workers

MASK = "mask"


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What is sent, ready, and what it asks for."""

    parts: tuple[Part, ...] = field(repr=False)
    ask: Ask


@dataclass(frozen=True, kw_only=True, slots=True)
class _Files:
    """The pictures of a job as they will be sent."""

    images: tuple[Ready, ...]
    mask: Ready | None


async def prepare_call(job: Job, rules: Rules, workers: Workers, response_format: str) -> Prepared:
    """Return what the paid call sends. Raises ``PrepareError``, ``NotProcessed`` when a worker was lost."""
    _refuse_pictures(job, rules)
    taken = Taken(media_types=rules.media_types, modes=rules.modes, max_bytes=rules.max_image_bytes)
    files = _Files(
        images=tuple([await picture_for(workers, given, taken) for given in job.images]),
        mask=await made_ready(workers, job.mask, make_mask_ready, rules.max_mask_bytes) if job.mask else None,
    )
    _refuse_files(job, rules, files)
    fields = fields_of(job, rules, response_format)
    options = job.request.options
    ask = Ask(
        n=job.request.n,
        words={name: fields.get(name, "") for name in COMPARED},
        previews=options.partial_images if isinstance(options, OpenaiOptions) else 0,
    )
    form = Form(parts=parts_of(fields, files.images, files.mask), ask=ask)
    return Prepared(payload=form, warnings=tuple(_warnings(job, rules, files)))


def _refuse_pictures(job: Job, rules: Rules) -> None:
    """Refuse what ``check`` could not see: the pictures that came by URL."""
    request = replace(
        job.request,
        images=tuple(Input(image=given.image) for given in job.images),
        mask=Input(image=job.mask.image) if job.mask else None,
    )
    if violations := check_pictures(request, rules, job.model.name):
        message = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
        raise PrepareError(FailureReason.INVALID_FIELD, message)


def _refuse_files(job: Job, rules: Rules, files: _Files) -> None:
    """Refuse a picture that became too large on the way."""
    for name, ready in _named(job, files):
        most = rules.max_mask_bytes if ready is files.mask else rules.max_image_bytes
        if len(ready.content) > most:
            size = f"has {len(ready.content)} bytes as {ready.media_type}"
            message = f"{name} {size}; {job.model.name} takes at most {most}"
            raise PrepareError(FailureReason.INVALID_FIELD, message)


def _warnings(job: Job, rules: Rules, files: _Files) -> Iterator[str]:
    """Say what was changed on the way."""
    for name, ready in _named(job, files):
        if ready.turned:
            yield f"{_shown(name)} was turned upright before it was sent."
        if ready.converted and not ready.lowered:
            yield f"{_shown(name)} was converted to {ready.media_type}, which {job.model.name} needs."
        yield from losses(_shown(name), ready)
    size = size_of(job, rules)
    if size != job.size:
        yield f"The size {job.size} was sent as {size}."


def _shown(name: str) -> str:
    return "The mask" if name == MASK else f"The picture {name}"


def _named(job: Job, files: _Files) -> Iterator[tuple[str, Ready]]:
    for index, ready in enumerate(files.images):
        yield picture_field(job.request.kind, index), ready
    if files.mask is not None:
        yield MASK, files.mask
