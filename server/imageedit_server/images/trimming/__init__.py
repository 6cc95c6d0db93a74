"""Files with less around the same pixels: what is left out before any decoder sees a picture (P18, P19).

Pure functions for a worker process over whole files, which may be anything. What tells the pixels, their
colours and which way up they are stays. Each format's module says what it keeps of its parts, and writes a
file of what is kept.
"""

from collections.abc import Callable, Sequence

from imageedit_server.images.structure import Data, Part, end_of, first_parts
from imageedit_server.images.trimming import jpeg, png, webp

_Keep = Callable[[Data, Sequence[Part]], list[Part]]
_Rewrite = Callable[[Data, Sequence[Part], Sequence[Part]], Data]

_TRIM: dict[str, _Keep] = {"PNG": png.trimmed, "JPEG": jpeg.trimmed, "WEBP": webp.trimmed}
_STRIP: dict[str, _Keep] = {"PNG": png.bare, "JPEG": jpeg.bare, "WEBP": webp.bare}
_REWRITE: dict[str, _Rewrite] = {"PNG": png.rewritten, "JPEG": jpeg.rewritten, "WEBP": webp.rewritten}


def trimmed(name: str, data: Data) -> Data:
    """Return a whole picture without what is no part of it, and without metadata that is too long.

    That is what stands behind its end, the index of further pictures there (MPF), and animation, of which
    the still picture stays. ``data`` itself where there is nothing of it.
    """
    parts = first_parts(name, data)
    if parts is None:
        return data[: end_of(name, data)]
    return _REWRITE[name](data, parts, _TRIM[name](data, parts))


def bare(name: str, data: Data) -> Data:
    """Return a whole picture with nothing but its looks, of which what cannot be read is left out as well."""
    parts = first_parts(name, data)
    return data if parts is None else _REWRITE[name](data, parts, _STRIP[name](data, parts))
