"""What makes a JPEG an odd one: scans, headers, tables and segments that are lost, doubled or lie."""

import struct

from hypothesis import strategies as st

from tests.fuzz.drawing import PLACE, disorder
from tests.fuzz.odd_parts import EXIF, FRAME_VALUES, LENGTHS, MOST_BYTES, TIMES


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    """A segment of a JPEG; its length as said, or the right one."""
    return (
        bytes([0xFF, marker])
        + struct.pack(">H", (len(body) + 2 if length is None else length) % 2**16)
        + body
    )


def scan_again(pieces: list[bytes], at: int, times: int) -> None:
    """Have one of the scans there so many times."""
    scans = [place for place, piece in enumerate(pieces) if piece[:2] == b"\xff\xda"] or [0]
    place = scans[at % len(scans)]
    pieces[place] *= min(times, 1 + MOST_BYTES // (len(pieces[place]) + 1))


JPEG_MORE = (
    *(segment(0xDD, struct.pack(">H", each)) for each in (0, 1, 3, 65_535)),
    *(segment(0xE1, b"Exif\0\0" + exif) for exif in EXIF),
    *(
        segment(0xE1, body)
        for body in (b"", b"Exif", b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>", bytes(60_000))
    ),
    *(
        segment(0xE2, body)
        for body in (b"", b"ICC_PROFILE\0", b"ICC_PROFILE\0\0\0", b"ICC_PROFILE\0\1\2" + b"p" * 99)
    ),
    *(
        segment(0xE2, body)
        for body in (b"MPF\0", b"MPF\0II*\0\x08\0\0\0\xff\xff", b"MPF\0MM\0*\0\0\0\x08" + bytes(90))
    ),
    *(segment(0xE0, body) for body in (b"", b"JFIF\0", b"JFIF\0\1\1\1\0\0\0\0\xff\xff", b"JFXX\0\x10")),
    *(segment(0xED, body) for body in (b"Photoshop 3.0\0", b"Photoshop 3.0\x008BIM\4\4\0\0\xff\xff\xff\xff")),
    *(
        segment(0xEE, body)
        for body in (b"Adobe", b"Adobe\0d\0\0\0\0\1", b"Adobe\0d\0\0\0\0\2", b"Adobe\0d\0\0\0\0\xff")
    ),
    *(
        segment(0xC4, body)
        for body in (b"", b"\0" + bytes(16), b"\0" + b"\xff" * 16 + bytes(200), b"\x7f" + bytes(16))
    ),
    *(
        segment(0xDB, body)
        for body in (b"", b"\0" + bytes(64), b"\0" + b"\1" * 64, b"\x10" + b"\1" * 128, b"\x0f")
    ),
    *(segment(0xDC, struct.pack(">H", each)) for each in (0, 1, 65_535)),
    *(
        segment(0xCC, b"\0\x10"),
        segment(0xDE, bytes(10)),
        segment(0xDF, b"\x11"),
        segment(0xFE, b"text"),
        segment(0xC8, b""),
    ),
    *(
        segment(0xDA, body)
        for body in (b"", b"\0\0\0\0", b"\1\1\0\0\x3f\0", b"\4\1\0\2\0\3\0\4\0\0\x3f\0", b"\1\x09\0\0\x3f\0")
    ),
    *(b"\xff" + bytes([marker]) for marker in (0x01, 0xD0, 0xD7, 0xD8, 0xD9, 0x00, 0xFF, 0x02)),
    *(
        segment(marker, bytes(30), length)
        for marker in (0xE5, 0xFE, 0xC4, 0xDB)
        for length in (0, 1, 2, 3, 65_535)
    ),
)


def _changed_frame(draw: st.DrawFn, pieces: list[bytes]) -> None:
    """Change the picture's header: kind, bits, height, width, number of components, sampling, table."""
    for place, piece in enumerate(pieces):
        if piece[:2] in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2") and len(piece) > 12:
            changed, at = bytearray(piece), draw(FRAME_PLACES)
            changed[at] = draw(FRAME_VALUES) if at != 1 else 0xC0 + draw(PLACE) % 16
            pieces[place] = bytes(changed)
            return


FRAME_PLACES = st.sampled_from((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12))
SCANS = st.sampled_from((2, 20, 21, 200, 201, 5_000, 5_000))
ANY_JPEG_MORE = st.sampled_from(JPEG_MORE)


def jpeg_changed(draw: st.DrawFn, pieces: list[bytes], most: int) -> None:
    """Change one thing of a JPEG, of its segments; put no more than ``most`` of anything into it."""
    match draw(JPEG_CHANGES):
        case "scans":
            scan_again(pieces, draw(PLACE), min(draw(SCANS), most))
        case "frame":
            _changed_frame(draw, pieces)
        case "length":
            at = draw(PLACE) % len(pieces)
            pieces[at] = pieces[at][:2] + struct.pack(">H", draw(LENGTHS)) + pieces[at][4:]
        case "disorder":
            disorder(draw, pieces)
        case _:
            more = draw(ANY_JPEG_MORE) * min(draw(TIMES), most)
            pieces.insert(1 + draw(PLACE) % len(pieces), more[:MOST_BYTES])


JPEG_CHANGES = st.sampled_from(("scans", "frame", "length", "disorder", "more", "more"))
