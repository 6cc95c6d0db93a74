"""What is put into pictures of every format: EXIF that leads nowhere, lengths that lie, how many times."""

import struct

from hypothesis import strategies as st

from tests.pictures import profiles

MOST_BYTES = 1_500_000
PROFILE = profiles.rgb(profiles.DISPLAY_P3, 2.2, "Display P3")
TIMES = st.sampled_from((1, 1, 1, 1, 2, 40, 4_000, 110_000))
LENGTHS = st.sampled_from((0, 1, 2, 3, 8, 0x7FFF, 0xFFFF))
FRAME_VALUES = st.sampled_from(
    (0, 1, 2, 3, 4, 8, 12, 16, 0x11, 0x12, 0x14, 0x21, 0x22, 0x41, 0x44, 0x80, 0xFF)
)


def _directory(*entries: bytes, after: int = 0, said: int | None = None) -> bytes:
    count = len(entries) if said is None else said
    return struct.pack("<H", count) + b"".join(entries) + struct.pack("<I", after)


def _entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


TURNED = _entry(0x0112, 3, 1, 6)
BEGIN = b"II*\0\x08\0\0\0"
EXIF = (
    BEGIN + _directory(TURNED),
    BEGIN + _directory(TURNED, after=8),
    BEGIN + _directory(_entry(0x8769, 4, 1, 8), _entry(0x8825, 4, 1, 8), _entry(0xA005, 4, 1, 8), TURNED),
    BEGIN + _directory(*[_entry(0x8769, 4, 2**31, 8)] * 4000, after=8),
    BEGIN + _directory(TURNED, said=0xFFFF),
    BEGIN + _directory(TURNED, said=0),
    *(BEGIN + _directory(_entry(0x0112, kind, 1, 6)) for kind in (0, 1, 2, 4, 5, 7, 12, 13, 255)),
    *(BEGIN + _directory(_entry(0x0112, 3, count, 6)) for count in (0, 2, 2**31, 2**32 - 1)),
    *(BEGIN + _directory(_entry(tag, 2, 2**32 - 1, 0), TURNED) for tag in (0x010F, 0x014A, 0x0111, 0x927C)),
    *(b"II*\0" + struct.pack("<I", start) + bytes(20) for start in (0, 1, 7, 9, 2**31, 2**32 - 1)),
    *(b"", b"II*\0", b"MM\0*\0\0\0\x08", b"MM\0*\0\0\0\x08\xff\xff", b"XX*\0\x08\0\0\0\0\0", b"Exif\0\0" * 3),
    BEGIN + _directory(TURNED) + bytes(65_000),
)
