"""What inflates a zlib stream, behind its first two bytes: quickly, or with all of zlib's rules.

ISA-L takes a third of zlib's time. It reads one thing that zlib refuses: a table of codes that is not full,
where none of those that it lacks comes up. What is inflated is right all the same, by its checksum.
"""

import zlib
from typing import Protocol

from isal.igzip_lib import DECOMP_ZLIB_NO_HDR_VER, IgzipDecompressor

_HEADER = b"\x78\x01"


class Inflater(Protocol):
    """Inflates, and checks the checksum at the end; raises errors of its own for what is none of a stream.

    ``needs_input``: all that there was is inflated and returned. ``eof``: the stream's end was reached.
    """

    needs_input: bool
    eof: bool

    def decompress(self, data: memoryview | bytes, most: int, /) -> bytes:
        """Return at most so many bytes of what comes of the data, and of what was left over."""
        ...


def quick() -> Inflater:
    """Return ISA-L's."""
    return IgzipDecompressor(DECOMP_ZLIB_NO_HDR_VER)


class Exact:
    """zlib's, as an ``Inflater``."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj()
        self._zlib.decompress(_HEADER)
        self.needs_input, self.eof = True, False

    def decompress(self, data: memoryview | bytes, most: int, /) -> bytes:
        """Do as ``Inflater`` says."""
        inflated = self._zlib.decompress(b"".join((self._zlib.unconsumed_tail, data)), most)
        self.needs_input, self.eof = len(inflated) < most, self._zlib.eof
        return inflated
