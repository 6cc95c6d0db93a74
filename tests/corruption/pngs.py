"""PNGs of every kind, written here line by line, and what may be wrong with one.

A chunk that is changed gets its checksum again, so that what reads the chunk sees the change; a stream that
is made of other lines likewise.
"""

import random
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import dropwhile, takewhile

from isal import isal_zlib

from imageedit_server.images.structure import png_parts
from tests.corruption.changes import CHANGES, out_of_order
from tests.images.pictures import PNG_SIGNATURE, chunk

KINDS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
"""The depths of each colour type."""
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_KEY_BYTES = {0: 2, 2: 6}
_EXIF = b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
_TEXTS = (
    chunk(b"tEXt", b"date:create\0now"),
    chunk(b"zTXt", b"k\0\0" + zlib.compress(b"text")),
    chunk(b"iTXt", b"k\0\0\0en\0k\0text"),
    chunk(b"eXIf", _EXIF),
    chunk(b"pHYs", bytes(9)),
    chunk(b"gAMA", b"\0\0\xb1\x8f"),
    chunk(b"iCCP", b"p\0\0" + zlib.compress(b"profile")),
)

_ADAM7 = "1646264677777777565656567777777736463646777777775656565677777777"


@dataclass(frozen=True, kw_only=True, slots=True)
class Png:
    """A PNG in its parts: ``lines`` with their filters, how they are deflated, in how many pieces."""

    header: bytes
    before: tuple[bytes, ...] = ()
    lines: tuple[bytes, ...]
    deflate: tuple[int, int, int]
    pieces: int = 1
    behind: tuple[bytes, ...] = ()

    @property
    def stream(self) -> bytes:
        """The lines as they are in the file."""
        level, window, strategy = self.deflate
        deflater = zlib.compressobj(level, zlib.DEFLATED, window, 8, strategy)
        return deflater.compress(b"".join(self.lines)) + deflater.flush()

    def chunks(self, stream: bytes) -> list[bytes]:
        """The chunks of a file with another ``stream``."""
        step = max(1, -(-len(stream) // self.pieces))
        pixels = [chunk(b"IDAT", stream[start : start + step]) for start in range(0, len(stream), step)]
        return [chunk(b"IHDR", self.header), *self.before, *pixels, *self.behind, chunk(b"IEND")]

    def file(self) -> bytes:
        """A file with nothing wrong."""
        return PNG_SIGNATURE + b"".join(self.chunks(self.stream))


def any_png(rng: random.Random) -> Png:
    """One of any colour type, depth and way of interlacing, with something before and behind its pixels."""
    colour = rng.choice(sorted(KINDS))
    depth, interlaced = rng.choice(KINDS[colour]), rng.randrange(2)
    width, height = rng.choice((1, 2, 3, 5, 8, 33, 40)), rng.choice((1, 2, 4, 7, 9, 30))
    before = [rng.choice(_TEXTS) for _ in range(rng.randrange(3))]
    if colour == 3:
        before.append(chunk(b"PLTE", rng.randbytes(3 * 2**depth)))
    if colour in (0, 2, 3) and not rng.randrange(4):
        length = _KEY_BYTES.get(colour, rng.randint(1, 2**depth))
        before.append(chunk(b"tRNS", rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))))
    return Png(
        header=struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced),
        before=tuple(before),
        lines=tuple(_lines(rng, width, height, CHANNELS[colour] * depth, interlaced)),
        deflate=(rng.choice((0, 1, 6, 9)), rng.choice((9, 12, 15)), rng.randrange(5)),
        pieces=rng.choice((1, 1, 2, 5, 40)),
        behind=tuple(rng.choice(_TEXTS) for _ in range(rng.choice((0, 0, 1, 2)))),
    )


def _lines(rng: random.Random, width: int, height: int, bits: int, interlaced: int) -> Iterator[bytes]:
    """The lines of each pass, which the standard draws: the pass of each pixel of eight by eight."""
    passes = _ADAM7 if interlaced else "1" * 64
    for number in "1234567":
        for y in range(height):
            columns = sum(passes[y % 8 * 8 + x % 8] == number for x in range(width))
            if columns:
                yield bytes([rng.randrange(5)]) + _samples(rng, (columns * bits + 7) // 8)


def _samples(rng: random.Random, length: int) -> bytes:
    match rng.randrange(3):
        case 0:
            return rng.randbytes(length)
        case 1:
            return bytes(rng.choice(b"\0\0\0\1\2\xff") for _ in range(length))
        case _:
            return (rng.randbytes(7) * length)[:length]


def _file_changed(rng: random.Random, png: Png) -> bytes:
    return rng.choice(CHANGES)(rng, png.file())


def _chunk_changed(rng: random.Random, png: Png) -> bytes:
    chunks = png.chunks(png.stream)
    at = rng.randrange(len(chunks))
    kind, body = chunks[at][4:8], chunks[at][8:-4]
    if rng.randrange(6):
        chunks[at] = chunk(kind, rng.choice(CHANGES)(rng, body))
    else:
        chunks[at] = chunk(rng.choice((b"IDAT", b"IDAX", b"tRNS", b"PLTE", b"IHDR", b"ID T", b"fdAT")), body)
    return PNG_SIGNATURE + b"".join(chunks)


def _chunks_out_of_order(rng: random.Random, png: Png) -> bytes:
    return PNG_SIGNATURE + b"".join(out_of_order(rng, png.chunks(png.stream)))


def _stream_changed(rng: random.Random, png: Png) -> bytes:
    stream = png.stream
    most = rng.choice((2, 12, 60, len(stream)))
    return _with_stream(png, rng.choice(CHANGES)(rng, stream[:most]) + stream[most:])


def _checksum_changed(rng: random.Random, png: Png) -> bytes:
    return _with_stream(png, png.stream[:-4] + rng.randbytes(rng.choice((0, 1, 3, 4, 4, 4, 9))))


def _lines_changed(rng: random.Random, png: Png) -> bytes:
    lines = list(png.lines)
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            lines[at] = bytes([rng.choice((5, 6, 64, 255))]) + lines[at][1:]
        case 1:
            lines.pop(at)
        case 2:
            lines.insert(at, lines[rng.randrange(len(lines))])
        case 3:
            lines[-1] = lines[-1][:-1]
        case 4:
            lines[-1] += rng.randbytes(rng.choice((1, 1000)))
        case _:
            del lines[at:]
    return replace(png, lines=tuple(lines)).file()


def _pieces_changed(rng: random.Random, png: Png) -> bytes:
    """Pieces of no length, of one byte, with something in between, or with more behind the stream."""
    chunks = png.chunks(png.stream)
    pixels = [at for at, each in enumerate(chunks) if each[4:8] == b"IDAT"]
    at = rng.choice(pixels)
    other = rng.choice((chunk(b"IDAT"), chunk(b"IDAT"), chunk(b"IDAT", rng.randbytes(5)), *_TEXTS))
    if rng.randrange(3):
        chunks.insert(at + rng.randrange(2), other)
    else:
        chunks[at : at + 1] = [chunk(b"IDAT", bytes([each])) for each in chunks[at][8:-4]]
    return PNG_SIGNATURE + b"".join(chunks)


def _palette_changed(rng: random.Random, png: Png) -> bytes:
    """A palette of any length, perhaps where there is none."""
    palette = chunk(
        b"PLTE", rng.randbytes(rng.choice((0, 1, 2, 3, 47, 767, 768, 769, 771, 1024, 1025, 3000)))
    )
    others = tuple(each for each in png.before if each[4:8] != b"PLTE")
    return replace(png, before=(palette, *others)).file()


def _with_stream(png: Png, stream: bytes) -> bytes:
    return PNG_SIGNATURE + b"".join(png.chunks(stream))


_DAMAGES: tuple[Callable[[random.Random, Png], bytes], ...] = (
    _file_changed,
    _chunk_changed,
    _chunks_out_of_order,
    _stream_changed,
    _checksum_changed,
    _lines_changed,
    _pieces_changed,
    _palette_changed,
)


def corrupted(rng: random.Random) -> bytes:
    """One PNG with one thing wrong, or with none that matters."""
    return rng.choice(_DAMAGES)(rng, any_png(rng))


# Why the check says other than Pillow

FEWER, BEHIND, NO_PALETTE = "with fewer lines", "broken behind the last line", "without a palette"
BEFORE = "repeating what is before the stream"
NOT_FULL = "with a table that is not full"


def stricter(data: bytes) -> str:
    """Why a PNG that Pillow takes is refused, told by zlib; empty for no reason.

    Pillow takes a stream that ends after any line, as if what is missing were black. What follows the last
    line it sees only as far as it lies in the same chunk. Its zlib-ng repeats bytes from before the stream,
    where that comes in small pieces. A palette it also takes behind the pixels, where it is told that one of
    its colours is transparent.
    """
    kinds = [part.kind for part in png_parts(data)]
    if _header(data)[3] == 3 and b"PLTE" not in kinds[: kinds.index(b"IDAT")]:
        return NO_PALETTE
    inflater, missing = zlib.decompressobj(), _length(data)
    try:
        for byte in _stream_of(data):
            missing -= len(inflater.decompress(bytes([byte])))
    except zlib.error as error:
        return BEHIND if missing <= 0 else BEFORE if "too far back" in str(error) else ""
    return FEWER if inflater.eof and missing > 0 else ""


def looser(data: bytes) -> str:
    """Why a PNG that Pillow refuses is taken: ISA-L reads a table that is not full, to the right checksum."""
    stream = _stream_of(data)
    with suppress(Exception):  # of kinds that ISA-L does not name for types
        inflated = isal_zlib.decompress(stream)  # which looks at the checksum
        try:
            zlib.decompress(stream)
        except zlib.error as error:
            return NOT_FULL if inflated and str(error).endswith(" set") else ""
    return ""


def _stream_of(data: bytes) -> bytes:
    pixels = dropwhile(lambda part: part.kind != b"IDAT", png_parts(data))
    return b"".join(
        data[part.start + 8 : part.end - 4] for part in takewhile(lambda part: part.kind == b"IDAT", pixels)
    )


def _header(data: bytes) -> tuple[int, ...]:
    last = [part for part in png_parts(data) if part.kind == b"IHDR"][-1]
    return struct.unpack(">IIBBBBB", data[last.start + 8 : last.start + 21])


def _length(data: bytes) -> int:
    """How many bytes the lines are."""
    width, height, depth, colour, *_, interlaced = _header(data)
    lines = _lines(random.Random(0), width, height, CHANNELS[colour] * depth, interlaced)
    return sum(map(len, lines))
