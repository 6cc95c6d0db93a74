"""Input pictures on their way to a vendor: as they are where they can be, else made ready in a worker."""

from collections.abc import Iterator

from imageedit_server.core.errors import FailureReason
from imageedit_server.pictures.headers import stored_mode
from imageedit_server.pictures.ready import Ready, Taken, make_ready
from imageedit_server.providers.base import InputImage, PrepareError
from imageedit_server.providers.outcomes import made_ready
from imageedit_server.runtime.workers import Workers


async def picture_for(workers: Workers, given: InputImage, taken: Taken) -> Ready:
    """Return a picture as it is ``taken``: its own bytes, where they are; no other is decoded.

    It may still be too large. Raises as ``made_ready`` does.
    """
    facts = given.image
    if facts.upright and facts.media_type in taken.media_types:
        content = await given.read()
        if stored_mode(content, facts) in taken.modes:
            return Ready(content=content, media_type=facts.media_type)
        del content  # it is read again when it is its turn in a worker
    return await made_ready(workers, given, make_ready, taken)


def refuse_too_large(name: str, ready: Ready, max_bytes: int) -> None:
    """Raise ``PrepareError`` for what is larger than the vendor takes."""
    if len(ready.content) > max_bytes:
        message = f"{name} has {len(ready.content)} bytes; the provider takes at most {max_bytes}."
        raise PrepareError(FailureReason.IMAGE_TOO_LARGE, message)


def changes(name: str, ready: Ready) -> Iterator[str]:
    """Say what was done to a picture on the way, a sentence each."""
    if ready.turned:
        yield f"{name} was turned upright for the provider, without its metadata."
    yield from losses(name, ready)


def losses(name: str, ready: Ready) -> Iterator[str]:
    """Say what a picture lost on the way, a sentence each."""
    if ready.recolored:
        yield f"{name} was converted from CMYK to RGB before it was sent."
    if ready.fewer_bits:
        yield f"{name} has 16 bits for each channel; it was sent with 8."
    if ready.lowered:
        yield f"{name} was sent as {ready.media_type} of lower quality: the provider takes no more bytes."
