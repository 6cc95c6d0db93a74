"""What breaks a family's rules beyond the limits that every model declares, found before anything is sent."""

from collections.abc import Iterator

from imageedit_server.core.errors import Violation
from imageedit_server.core.image import Image, Transparency
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.request import Kind, Request, image_field
from imageedit_server.core.sizes import parse_size
from imageedit_server.providers.openai.rules import Rules
from imageedit_server.providers.openai.sizes import broken_rule


def check_request(request: Request, rules: Rules, model: str) -> list[Violation]:
    """Return what ``model`` will not take of ``request``, as far as its pictures are known."""
    return [
        *_check_size(request.size, rules),
        *_check_options(request, rules, model),
        *check_pictures(request, rules, model),
    ]


def check_pictures(request: Request, rules: Rules, model: str) -> list[Violation]:
    """Return which pictures of ``request`` that are known ``model`` will not take."""
    found: list[Violation] = []
    for index, given in enumerate(request.images):
        if given.image is not None:
            field = picture_field(request.kind, index)
            found += _check_image(field, given.image, rules, model, masked=request.mask is not None)
    return found


def picture_field(kind: Kind, index: int) -> str:
    """Return what the caller calls an input picture; a model edit's is the output of its base task."""
    return "base_model_task_id" if kind is Kind.MODEL_EDIT else image_field(kind, index)


def _check_size(size: str, rules: Rules) -> Iterator[Violation]:
    shape = parse_size(size)
    if shape is None or size in rules.sizes or not rules.flexible:
        return
    if broken := broken_rule(shape):
        yield Violation(field="size", description=f"is {size!r}; it {broken}")


def _check_image(field: str, image: Image, rules: Rules, model: str, *, masked: bool) -> Iterator[Violation]:
    if rules.square and image.width != image.height:
        yield Violation(
            field=field, description=f"is {image.width}x{image.height}; {model} takes square pictures only"
        )
    if rules.alpha_or_mask and not masked and image.transparency is not Transparency.TRANSPARENT:
        yield Violation(
            field=field,
            description=f"is transparent nowhere; {model} needs a mask, or transparency where to edit",
        )


# Options


def _check_options(request: Request, rules: Rules, model: str) -> Iterator[Violation]:
    options = request.options
    if not isinstance(options, OpenaiOptions):
        return
    yield from _check_words(options, rules, model)
    yield from _check_format(options, rules, model)
    yield from _check_partial_images(options.partial_images, request.n, rules, model)


def _check_words(options: OpenaiOptions, rules: Rules, model: str) -> Iterator[Violation]:
    for name in ("quality", "background", "output_format", "input_fidelity", "moderation"):
        word, taken = getattr(options, name), rules.words.get(name, ())
        if word and not taken:
            yield _not_taken(name, model)
        elif word and word not in taken:
            yield _violation(name, f"is {word!r}; {model} takes {' '.join(taken)}")


def _check_format(options: OpenaiOptions, rules: Rules, model: str) -> Iterator[Violation]:
    if options.background == "transparent" and options.output_format == "jpeg":
        yield _violation("background", "is 'transparent', which needs output_format png or webp")
    if options.output_compression is None:
        return
    if not rules.compression:
        yield _not_taken("output_compression", model)
    elif options.output_format not in ("jpeg", "webp"):
        yield _violation("output_compression", "needs output_format jpeg or webp")


def _check_partial_images(count: int, n: int, rules: Rules, model: str) -> Iterator[Violation]:
    """Streaming works for one picture only: the vendor answers anything else with a 400."""
    if count and not rules.max_partial_images:
        yield _not_taken("partial_images", model)
    elif count and n > 1:
        yield _violation("partial_images", f"needs n 1, not {n}: only a single picture is sent in parts")


def _not_taken(name: str, model: str) -> Violation:
    return _violation(name, f"is not taken by {model}")


def _violation(name: str, description: str) -> Violation:
    return Violation(field=f"openai.{name}", description=description)
