"""A PNG's pixels checked without decoding them: all is inflated and counted, each line's filter looked at.

What stands in a line may be any byte at all, so that nothing else can be wrong with it: to undo the filters
and to place the pixels, which is most of the work of a decoder, would find no more. Pure, for a worker
process; it goes front to back over the stream as it comes, and holds little of it (P18).
"""

import zlib
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from imageedit_server.images.inflating import Exact, Inflater, quick

PIECE_BYTES = 64 * 1024
"""How much is inflated at a time."""
INFLATED_BYTES = 256 * 1024
"""How much is held of what comes of it, so that it stays in the processor's cache."""

_BYTES_BEHIND = 64 * 1024
"""How much is looked at behind the last line: as much as Pillow reads at a time."""
_HEADER_BYTES = 2
_DEFLATE, _MOST_WINDOW, _DICTIONARY = 8, 7, 0x20
_FILTERS = bytes(range(5))
_ALL_AT_ONCE = ((0, 1, 0, 1),)
_ADAM7 = ((0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2))
"""The passes over a picture: the first column and the step to the next, then the same of the lines."""


class Lines(NamedTuple):
    """So many lines of as many bytes each, with the byte that names the filter."""

    length: int
    number: int


def lines_of(size: tuple[int, int], bits: int, *, interlaced: bool) -> list[Lines]:
    """Return the lines that a picture of width and height, with ``bits`` for each pixel, is written as."""
    width, height = size
    passes = [
        (_every(width, column, right), _every(height, line, down))
        for column, right, line, down in (_ADAM7 if interlaced else _ALL_AT_ONCE)
    ]
    return [Lines(1 + (columns * bits + 7) // 8, number) for columns, number in passes if columns and number]


class PixelCheck:
    """Holds a zlib stream against the ``lines`` that it must be; raises ``ValueError`` and what inflaters do.

    As for every reader of PNG, it does not matter what is inflated behind the last line; but where the
    stream ends there, its checksum must be right. A stream of less than ``PIECE_BYTES``, of which the time
    does not matter, is inflated by zlib itself.
    """

    def __init__(self, lines: Sequence[Lines], alpha: "Alpha | None" = None) -> None:
        self._lines = _Counted(lines)
        self._alpha = alpha
        self._gathered, self._header, self._behind = bytearray(), b"", 0
        self._stream: Inflater | None = None

    def take(self, data: memoryview) -> None:
        """Check what comes next of the stream, however much; little of what comes after the last line."""
        is_small = len(data) < PIECE_BYTES
        if is_small:
            self._gathered += data
        if not is_small or len(self._gathered) >= PIECE_BYTES:
            self._stream = self._stream or quick()
            self._take_gathered(self._stream)
            if not is_small:
                self._take(data, self._stream)

    def end(self) -> None:
        """Check that there is no more to come."""
        self._take_gathered(self._stream or Exact())
        if not self._lines.whole:
            raise ValueError("has fewer lines than its header says")

    def _take_gathered(self, stream: Inflater) -> None:
        """Take small pieces together: to inflate one takes its time, however little there is in it."""
        gathered, self._gathered = self._gathered, bytearray()
        with memoryview(gathered) as data:
            self._take(data, stream)

    def _take(self, data: memoryview, stream: Inflater) -> None:
        missing = _HEADER_BYTES - len(self._header)
        if missing:
            self._header += data[:missing]
            _check_header(self._header)
        for start in range(missing, len(data), PIECE_BYTES):
            if self._behind > _BYTES_BEHIND:
                return
            with data[start : start + PIECE_BYTES] as piece:
                self._inflate(piece, stream)

    def _inflate(self, piece: memoryview, stream: Inflater) -> None:
        rest: memoryview | bytes = piece
        while not (stream.eof or self._lines.exceeded):
            inflated = stream.decompress(rest, INFLATED_BYTES)
            self._lines.take(inflated)
            if self._alpha:
                self._alpha.take(inflated)
            if stream.needs_input:
                self._behind += len(piece) if self._lines.whole else 0
                return
            rest = b""


class Alpha:
    """The alpha channel, the last of ``channels`` of eight bits, out of the lines of a picture of ``size``.

    A filter looks at bytes of its own channel only, so that each channel by itself is a picture of one.
    """

    def __init__(self, size: tuple[int, int], channels: int) -> None:
        width, self._height = size
        self._width, self._channels = width, channels
        self._length = 1 + width * channels
        self._lines, self._rest = bytearray(), b""

    def take(self, inflated: bytes) -> None:
        """Take what comes next of the lines."""
        known = self._rest + inflated
        end = len(known) // self._length * self._length
        starts = range(0, end, self._length)
        self._lines += b"".join([known[start : start + self._length : self._channels] for start in starts])
        self._rest = known[end:]

    def image(self) -> Image.Image:
        """Return the channel, decoded, after the last line."""
        stream = zlib.compress(self._lines, 0)
        return Image.frombytes("L", (self._width, self._height), stream, "zip", "L")


class _Counted:
    """Counts lines. ``whole``: all were there; ``exceeded``: and something behind them."""

    def __init__(self, lines: Sequence[Lines]) -> None:
        self._coming = list(reversed(lines))
        self._length = self._left = self._filter_at = 0
        self.exceeded = False

    @property
    def whole(self) -> bool:
        return not self._left and not self._coming

    def take(self, inflated: bytes) -> None:
        while inflated and not self.whole:
            if not self._left:
                self._length, number = self._coming.pop()
                self._left, self._filter_at = self._length * number, 0
            piece, inflated = inflated[: self._left], inflated[self._left :]
            self._check(piece)
        self.exceeded = bool(inflated)

    def _check(self, piece: bytes) -> None:
        if piece[self._filter_at :: self._length].translate(None, _FILTERS):
            raise ValueError("has a line with a filter that there is not")
        self._left -= len(piece)
        self._filter_at = (self._filter_at - len(piece)) % self._length


def _every(side: int, first: int, step: int) -> int:
    """Return how many of ``side`` there are, from the ``first`` on by ``step``."""
    return len(range(first, side, step))


def _check_header(header: bytes) -> None:
    """Hold the stream's first bytes to zlib's rule; ISA-L takes windows that zlib does not."""
    if len(header) < _HEADER_BYTES:
        return
    window, method = divmod(header[0], 16)
    is_known = method == _DEFLATE and window <= _MOST_WINDOW and not header[1] & _DICTIONARY
    if not is_known or int.from_bytes(header) % 31:
        raise ValueError("has a stream that zlib does not know")
