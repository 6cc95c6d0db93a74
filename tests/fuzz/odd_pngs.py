"""What makes a PNG an odd one: chunks that are lost, doubled, too many, too long or of another picture."""

import struct
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

from tests.fuzz.drawing import PLACE, disorder
from tests.fuzz.odd_parts import EXIF, LENGTHS, MOST_BYTES, PROFILE, TIMES
from tests.images.pictures import chunk, zeros

TEXT_KEYS = (b"workflow", b"Raw profile type exif", b"XML:com.adobe.xmp", b"", b"k" * 100, b"\xff")
BOMB = zeros(20 * 1024 * 1024)
PNG_MORE = (
    *(
        chunk(b"zTXt", key + b"\0\0" + deflated)
        for key in TEXT_KEYS
        for deflated in (BOMB, zlib.compress(b"text"), b"x")
    ),
    *(
        chunk(b"iTXt", key + rest)
        for key in TEXT_KEYS
        for rest in (b"\0\1\0\0\0" + BOMB, b"\0\0\0\0\0text", b"\0", b"")
    ),
    *(chunk(b"tEXt", key + rest) for key in TEXT_KEYS for rest in (b"\0text", b"\0" + b"x" * 90_000, b"")),
    *(
        chunk(b"iCCP", b"p\0\0" + deflated)
        for deflated in (BOMB, zlib.compress(PROFILE), zlib.compress(b"p"), b"x", b"")
    ),
    *(chunk(b"eXIf", exif) for exif in EXIF),
    *(chunk(b"acTL", struct.pack(">II", frames, 0)) for frames in (0, 1, 2, 2**31, 2**32 - 1)),
    *(chunk(b"acTL", bytes(size)) for size in (0, 4, 7, 9)),
    *(
        chunk(b"fcTL", struct.pack(">5IHHBB", 0, *box, 1, 1, 0, 0))
        for box in ((64, 48, 0, 0), (9999, 1, 9, 9), (0, 0, 0, 0))
    ),
    *(chunk(b"fdAT", body) for body in (b"", b"\0\0\0\1" + zeros(100))),
    *(chunk(b"tRNS", bytes(size)) for size in (0, 1, 2, 6, 256, 300)),
    *(chunk(b"PLTE", bytes(size)) for size in (0, 1, 3, 768, 771)),
    *(
        chunk(kind, bytes(size))
        for kind in (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"sBIT", b"pHYs")
        for size in (0, 4, 9, 32)
    ),
    *(
        chunk(kind, body)
        for kind in (b"vpAg", b"bKGD", b"hIST", b"sPLT", b"tIME", b"CRIT", b"\0\0\0\0")
        for body in (b"", b"ab")
    ),
    *(
        chunk(b"IDAT"),
        chunk(b"IDAT", b"x"),
        chunk(b"IDAT", zeros(9_000_000)),
        chunk(b"IEND"),
        chunk(b"IHDR", bytes(13)),
    ),
    *(
        struct.pack(">I", length) + b"tEXtk\0v" + bytes(4)
        for length in (0, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
    ),
)
ANY_PNG_MORE = st.sampled_from(PNG_MORE)
HEADER_PLACES = st.sampled_from((3, 2, 0, 7, 6, 4, 8, 9, 10, 11, 12))
HEADER_VALUES = st.sampled_from((0, 1, 2, 3, 4, 6, 8, 16, 40, 255))
PNG_CHANGES = st.sampled_from(("header", "checksum", "pieces", "length", "disorder", "more", "more"))


def png_changed(draw: st.DrawFn, pieces: list[bytes], most: int) -> None:
    """Change one thing of a PNG, of its chunks; put no more than ``most`` of anything into it."""
    at = draw(PLACE) % len(pieces)
    match draw(PNG_CHANGES):
        case "header":
            body = bytearray(pieces[1][8:-4] if len(pieces) > 1 else b"")
            if len(body) == 13:
                body[draw(HEADER_PLACES)] = draw(HEADER_VALUES)
                pieces[1] = chunk(b"IHDR", bytes(body))
        case "checksum":
            pieces[at] = pieces[at][:-1] + bytes([pieces[at][-1] ^ 1]) if pieces[at] else b"\0"
        case "pieces":
            pieces[:] = _in_small_pieces(pieces, 1 + draw(PLACE) % 40)
        case "length":
            pieces[at] = struct.pack(">I", draw(LENGTHS)) + pieces[at][4:]
        case "disorder":
            disorder(draw, pieces)
        case _:
            more = draw(ANY_PNG_MORE) * min(draw(TIMES), most)
            pieces.insert(1 + draw(PLACE) % len(pieces), more[:MOST_BYTES])


def _in_small_pieces(pieces: Sequence[bytes], size: int) -> list[bytes]:
    cut: list[bytes] = []
    for piece in pieces:
        if piece[4:8] == b"IDAT":
            data = piece[8:-4]
            cut += [chunk(b"IDAT", data[start : start + size]) for start in range(0, len(data), size)]
        else:
            cut.append(piece)
    return cut
