"""The multipart form of one paid call: names, order, file names and types as OpenAI's own SDK writes them.

``prompt`` first, the other fields by name, then the pictures, then the mask. A relay goes by the file name's
extension, and takes ``image`` or ``image[]``, never both (VENDORS §4.2).
"""

from collections.abc import Iterator, Sequence

from imageedit_server.core.image import EXTENSIONS
from imageedit_server.core.options import OpenaiOptions
from imageedit_server.core.sizes import parse_size
from imageedit_server.outbound.client import Part
from imageedit_server.pictures.ready import Ready
from imageedit_server.providers.base import Job
from imageedit_server.providers.openai.rules import Rules
from imageedit_server.providers.openai.sizes import pixels_of


def size_of(job: Job, rules: Rules) -> str:
    """Return the size in the vendor's words, empty for none: a ratio becomes pixels."""
    shape = parse_size(job.size)
    return pixels_of(shape) if shape is not None and shape.is_ratio and rules.flexible else job.size


def fields_of(job: Job, rules: Rules, response_format: str) -> dict[str, str]:
    """Return the plain fields. What the caller left open is left out, but for ``n`` and ``model``.

    Vendors and relays have changed the default of both.
    """
    options = job.request.options or OpenaiOptions()
    assert isinstance(options, OpenaiOptions)
    words = {name: getattr(options, name) for name in rules.words if name not in rules.unsent_words}
    compression = options.output_compression
    fields = {
        **words,
        "model": job.model.vendor_name,
        "n": str(job.request.n),
        "size": size_of(job, rules),
        "output_compression": "" if compression is None else str(compression),
        "response_format": response_format if rules.response_format else "",
        "user": job.request.user_id if rules.user else "",
    }
    if options.partial_images:
        fields |= {"partial_images": str(options.partial_images), "stream": "true"}
    given = {name: fields[name] for name in sorted(fields) if fields[name]}
    return {"prompt": job.request.prompt, **given}


def parts_of(fields: dict[str, str], images: Sequence[Ready], mask: Ready | None) -> tuple[Part, ...]:
    """Return the whole form."""
    return (
        *(Part(name, value.encode()) for name, value in fields.items()),
        *_image_parts(images),
        *([_file("mask", "mask", mask)] if mask else []),
    )


def _image_parts(images: Sequence[Ready]) -> Iterator[Part]:
    if len(images) == 1:
        yield _file("image", "image", images[0])
        return
    for number, image in enumerate(images, start=1):
        yield _file("image[]", f"image-{number}", image)


def _file(name: str, stem: str, picture: Ready) -> Part:
    return Part(name, picture.content, f"{stem}.{EXTENSIONS[picture.media_type]}", picture.media_type)
