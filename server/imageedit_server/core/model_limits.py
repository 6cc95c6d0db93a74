"""What a model takes: a request whose image facts are known, held against the model's limits."""

from collections.abc import Iterable, Iterator

from imageedit_server.core.errors import Violation
from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.model import MaskUse, Model
from imageedit_server.core.request import PROMPT_FIELDS, Kind, Request, image_field
from imageedit_server.core.sizes import AUTO, accepts, limit_of


def check_limits(request: Request, model: Model) -> list[Violation]:
    """Return what the model does not take of a request whose image facts are known."""
    return [
        *_check_model_prompt(request, model),
        *_check_count(request, model),
        *_check_mask_use(request, model),
        *_check_model_n(request, model),
        *_check_size(request, model),
        *_check_images(request, model),
        *_check_mask(request),
    ]


def _violation(field: str, description: str) -> Violation:
    return Violation(field=field, description=description)


def _check_model_prompt(request: Request, model: Model) -> Iterator[Violation]:
    length = len(request.prompt)
    if length > model.max_prompt_chars:
        field = PROMPT_FIELDS[request.kind]
        yield _violation(
            field, f"has {length} characters; {model.name} takes at most {model.max_prompt_chars}"
        )


def _check_count(request: Request, model: Model) -> Iterator[Violation]:
    count = len(request.images)
    if request.kind is Kind.EDIT_IMAGE and not model.min_images <= count <= model.max_images:
        yield _violation("images", f"has {count} pictures; {model.name} takes {_count(model)}")
    references = len(request.reference_images)
    if references > model.max_reference_images:
        most = model.max_reference_images
        yield _violation(
            "reference_images", f"has {references} pictures; {model.name} takes {most or 'none'}"
        )


def _count(model: Model) -> str:
    if model.min_images == model.max_images:
        return str(model.max_images)
    return f"{model.min_images} to {model.max_images}"


def _check_mask_use(request: Request, model: Model) -> Iterator[Violation]:
    if request.mask is not None and model.mask is MaskUse.NONE:
        yield _violation("mask", f"is not taken by {model.name}")
    if request.mask is None and model.mask is MaskUse.REQUIRED:
        yield _violation("mask", f"is required by {model.name}")


def _check_model_n(request: Request, model: Model) -> Iterator[Violation]:
    if request.n > model.max_n:
        yield _violation("n", f"is {request.n}; {model.name} makes at most {model.max_n}")


def _check_size(request: Request, model: Model) -> Iterator[Violation]:
    if request.size in ("", AUTO) or accepts(model.sizes, request.size):
        return
    offered = f"takes {' '.join(model.sizes)}" if model.sizes else "does not let the size be chosen"
    limit = limit_of(model.sizes, request.size)
    more = f", with {limit}" if limit else ""
    yield _violation("size", f"is {request.size!r}; {model.name} {offered}{more}")


def _check_images(request: Request, model: Model) -> Iterator[Violation]:
    for field, image in _known_images(request):
        if image.media_type not in model.media_types:
            yield _violation(
                field, f"is {image.media_type}; {model.name} takes {' '.join(model.media_types)}"
            )
        if image.size_bytes > model.max_image_bytes and (image.upright or not model.makes_fit):
            yield _violation(
                field, f"has {image.size_bytes} bytes; {model.name} takes at most {model.max_image_bytes}"
            )


def _known_images(request: Request) -> Iterable[tuple[str, Image]]:
    """Name the pictures that will be sent; a base that the vendor knows by its own id is not."""
    if request.base_vendor_task_id:
        return []
    inputs = [(image_field(request.kind, index), given) for index, given in enumerate(request.images)]
    inputs += [(f"reference_images[{index}]", given) for index, given in enumerate(request.reference_images)]
    if request.kind is Kind.MODEL_EDIT:
        inputs = [("base_model_task_id", given) for _, given in inputs]
    return [(field, given.image) for field, given in inputs if given.image is not None]


def _check_mask(request: Request) -> Iterator[Violation]:
    """Transparent means edit here, so a mask must say so somewhere (DESIGN §2, Mask)."""
    mask = request.mask.image if request.mask else None
    if mask is None:
        return
    if mask.media_type == "image/jpeg" or mask.transparency is Transparency.NONE:
        yield _violation("mask", "has no alpha channel; give a PNG or WebP that is transparent where to edit")
    elif mask.transparency is Transparency.OPAQUE:
        yield _violation("mask", "is opaque everywhere; make it transparent where to edit")
    image = request.images[0].image if request.images else None
    if image is not None and (mask.width, mask.height) != (image.width, image.height):
        yield _violation(
            "mask",
            f"is {mask.width}x{mask.height}; it must be as large as the image, {image.width}x{image.height}",
        )
