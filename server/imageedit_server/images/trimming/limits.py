"""How much metadata a picture may have, so that whoever reads it needs little memory (P18)."""

from collections.abc import Callable, Iterable, Iterator

from imageedit_server.images.structure import Data, Part

MIB = 1024 * 1024
MAX_TEXT_BYTES = MIB
"""How long one text or EXIF may be, also when it is inflated; decoders everywhere refuse longer ones."""
MAX_TEXTS_BYTES = 4 * MIB
"""How long all of them together may be."""
MAX_PROFILE_BYTES = 16 * MIB
"""How long a profile may be that was deflated: as long as a JPEG's."""


def short(data: Data, parts: Iterable[Part], length_of: Callable[[Data, Part], int]) -> Iterator[Part]:
    """Yield the parts that are not too long, each and together; one that is too long counts for some."""
    total = 0
    for part in parts:
        length = (
            min(length_of(data, part), MAX_TEXT_BYTES + 1) if total < MAX_TEXTS_BYTES else MAX_TEXTS_BYTES
        )
        total += length
        if length <= MAX_TEXT_BYTES and total <= MAX_TEXTS_BYTES:
            yield part
