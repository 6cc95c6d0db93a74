"""Color profiles as cameras, editors and presses write them, made by hand (ICC.1:2001-04)."""

import struct
from itertools import product

from PIL import Image, ImageCms

Colorant = tuple[float, float, float]

SRGB = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
PROPHOTO = ((0.7977, 0.2880, 0.0), (0.1352, 0.7119, 0.0), (0.0313, 0.0001, 0.8249))
"""The colorants of a space, red, green and blue, in XYZ under D50."""

_WHITE = (0.9642, 1.0, 0.8249)
_PAPER = (255, 252, 244)
_INKS = ((30, 150, 200), (200, 30, 110), (250, 230, 40), (40, 36, 34))
_GRID = 5


def rgb(colorants: tuple[Colorant, Colorant, Colorant], gamma: float, name: str) -> bytes:
    """A profile of a display or a camera."""
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(gamma))
    columns = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, colorants), strict=True))
    return _profile(b"mntr", b"RGB ", b"XYZ ", name, curves | columns)


def gray(gamma: float, name: str = "Gray") -> bytes:
    """A profile of gray."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", name, {b"kTRC": _curve(gamma)})


def cmyk(name: str = "Newsprint") -> bytes:
    """A profile of a press, whose inks are duller than naively converted ones, and whose paper is warm."""
    return _profile(b"prtr", b"CMYK", b"Lab ", name, {b"A2B0": _printed()})


def _printed() -> bytes:
    """Return what every mixture of inks looks like, as a table of Lab (lut8Type)."""
    levels = [step / (_GRID - 1) for step in range(_GRID)]
    mixtures = [_mixed(inks) for inks in product(levels, repeat=4)]
    colors = Image.frombytes(
        "RGB", (len(mixtures), 1), bytes(sample for color in mixtures for sample in color)
    )
    lab = ImageCms.profileToProfile(
        colors, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    table = bytes(sample ^ (0 if at % 3 == 0 else 128) for at, sample in enumerate(lab.tobytes()))
    straight = bytes(range(256))
    identity = struct.pack(">9i", *(65536 if at % 4 == 0 else 0 for at in range(9)))
    return b"mft1\0\0\0\0" + bytes([4, 3, _GRID, 0]) + identity + straight * 4 + table + straight * 3


def _mixed(inks: tuple[float, ...]) -> list[int]:
    color = [float(sample) for sample in _PAPER]
    for amount, ink in zip(inks, _INKS, strict=True):
        color = [sample * (1 - amount + amount * tint / 255) for sample, tint in zip(color, ink, strict=True)]
    return [round(sample) for sample in color]


def _profile(kind: bytes, space: bytes, connection: bytes, name: str, tags: dict[bytes, bytes]) -> bytes:
    text = name.encode() + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(_WHITE),
        **tags,
    }
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(
        ">I4xI4s4s4s12s4s28x12s48x",
        128 + len(table) + len(body),
        0x02200000,
        kind,
        space,
        connection,
        struct.pack(">6H", 2020, 1, 1, 0, 0, 0),
        b"acsp",
        _numbers(_WHITE),
    )
    return header + table + body


def _curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def _xyz(values: Colorant) -> bytes:
    return b"XYZ \0\0\0\0" + _numbers(values)


def _numbers(values: Colorant) -> bytes:
    return struct.pack(">3i", *(round(value * 65536) for value in values))
