"""What makes a WebP an odd one: sizes of the container and its chunks, flags, canvases, frames."""

import struct

from hypothesis import strategies as st
from PIL import Image

from tests.fuzz.drawing import ONE_IN_TWO, PLACE, disorder
from tests.fuzz.odd_parts import EXIF, FRAME_VALUES, MOST_BYTES, PROFILE, TIMES
from tests.images.pictures import encoded
from tests.sandbox.bombs import riff


def _canvas(flags: int, width: int = 64, height: int = 48) -> bytes:
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"VP8X", bytes([flags, 0, 0, 0]) + size)


STILL = encoded(Image.new("RGB", (4, 4)), "WEBP", lossless=True)[12:]
FRAME = bytes(6) + b"\3\0\0\3\0\0\x0a\0\0\0" + STILL
WEBP_MORE = (
    *(_canvas(flags) for flags in (0, 0x02, 0x04, 0x08, 0x10, 0x20, 0x3E, 0xFF)),
    *(_canvas(0x10, *size) for size in ((1, 1), (65, 48), (16_384, 16_384), (2**24, 2**24))),
    *(riff(b"ALPH", body) for body in (b"", b"\0", b"\1" + bytes(99), b"\xff" + bytes(9), bytes(3_073))),
    *(riff(b"ANIM", body) for body in (b"", bytes(6))),
    *(riff(b"ANMF", body) for body in (b"", FRAME, bytes(16), FRAME[:20])),
    *(riff(b"EXIF", exif) for exif in EXIF),
    *(riff(b"EXIF", b"Exif\0\0" + exif) for exif in EXIF[:4]),
    *(riff(b"XMP ", body) for body in (b"", b"<x:xmpmeta>", b"x" * 1_100_000)),
    *(riff(b"ICCP", body) for body in (b"", b"p", PROFILE)),
    *(
        riff(kind, body)
        for kind in (b"VP8 ", b"VP8L", b"more", b"RIFF", b"\0\0\0\0")
        for body in (b"", b"\x2f", bytes(30))
    ),
    *(b"more" + struct.pack("<I", length) for length in (1, 2**24, 2**31, 2**32 - 1)),
    STILL,
)
ANY_WEBP_MORE = st.sampled_from(WEBP_MORE)
BY_HOW_MUCH = st.sampled_from((-9, -8, -2, -1, 1, 2, 7, 8, 9, 100, -(2**40), 2**40))
WEBP_CHANGES = st.sampled_from(("length", "pixels", "padding", "disorder", "more", "more"))


def webp_changed(draw: st.DrawFn, pieces: list[bytes], most: int) -> None:
    """Change one thing of a WebP, of its chunks; put no more than ``most`` of anything into it."""
    at = draw(PLACE) % len(pieces)
    match draw(WEBP_CHANGES):
        case "length":
            said = int.from_bytes(pieces[at][4:8], "little") + draw(BY_HOW_MUCH)
            pieces[at] = pieces[at][:4] + struct.pack("<I", min(max(said, 0), 2**32 - 1)) + pieces[at][8:]
        case "pixels":
            changed = bytearray(pieces[at])
            if len(changed) > 20:
                changed[8 + draw(PLACE) % 12] = draw(FRAME_VALUES)
            pieces[at] = bytes(changed)
        case "padding":
            pieces[at] += bytes(1) if draw(ONE_IN_TWO) else b"\xff"
        case "disorder":
            disorder(draw, pieces)
        case _:
            more = draw(ANY_WEBP_MORE) * min(draw(TIMES), most)
            pieces.insert(1 + draw(PLACE) % len(pieces), more[:MOST_BYTES])
