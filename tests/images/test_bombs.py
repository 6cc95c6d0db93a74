"""Small files that would become huge are refused, and the service process does not feel them (P18, F80)."""

import asyncio
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from imageedit_server.core.errors import Reason, Refusal
from imageedit_server.images.library import ImageLibrary
from tests.images.pictures import MIB, PNG_SIGNATURE, chunk, encoded, files, png, zeros


def jpeg(width: int, height: int, **options: object) -> bytes:
    """A tiny JPEG whose header claims another size."""
    data = encoded(Image.new("L", (8, 8)), "JPEG", **options)
    size = data.index(b"\xff\xc2" if options else b"\xff\xc0") + 5
    return data[:size] + struct.pack(">HH", height, width) + data[size + 4 :]


def webp(width: int, height: int) -> bytes:
    """A tiny lossless WebP whose header claims another size."""
    data = encoded(Image.new("RGB", (8, 8)), "WEBP", lossless=True)
    assert data[12:16] == b"VP8L"
    return data[:21] + struct.pack("<I", (height - 1) << 14 | (width - 1)) + data[25:]


def one_pixel(extra: bytes) -> bytes:
    return png(zeros(2), (1, 1), extra)


TOO_LARGE, UNDECODABLE = Reason.IMAGE_TOO_LARGE, Reason.IMAGE_UNDECODABLE

FRAMES = chunk(b"acTL", struct.pack(">II", 100_000, 0)) + chunk(b"fcTL", struct.pack(">5I6x", 0, 1, 1, 0, 0))

BOMBS: dict[str, tuple[Callable[[], bytes], Reason, str]] = {
    "png 20000²": (
        lambda: png(zeros(20_001 * 20_000), (20_000, 20_000)),
        TOO_LARGE,
        "has 400000000 pixels; at most 50000000 are allowed",
    ),
    "png just over": (lambda: png(zeros(50_000_002), (50_000_001, 1)), TOO_LARGE, "has 50000001 pixels"),
    "png of the largest size": (lambda: png(zeros(9), (2**31 - 1, 2**31 - 1)), TOO_LARGE, "pixels; at most"),
    "jpeg 65500²": (lambda: jpeg(65_500, 65_500), TOO_LARGE, "has 4290250000 pixels"),
    "progressive jpeg 65500²": (
        lambda: jpeg(65_500, 65_500, progressive=True),
        TOO_LARGE,
        "4290250000 pixels",
    ),
    "webp 16000²": (lambda: webp(16_000, 16_000), TOO_LARGE, "has 256000000 pixels"),
    "iTXt": (
        lambda: one_pixel(chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(100 * MIB))),
        UNDECODABLE,
        "is a broken PNG picture",
    ),
    "zTXt": (
        lambda: one_pixel(chunk(b"zTXt", b"a\0\0" + zeros(100 * MIB))),
        UNDECODABLE,
        "is a broken PNG picture",
    ),
    "colour profile": (
        lambda: one_pixel(chunk(b"iCCP", b"a\0\0" + zeros(100 * MIB))),
        UNDECODABLE,
        "is a broken PNG picture",
    ),
    "a hundred thousand frames": (
        lambda: one_pixel(FRAMES),
        UNDECODABLE,
        "has 100000 frames; give a picture of one",
    ),
    "more bytes than allowed": (lambda: bytes(20 * MIB + 1), TOO_LARGE, "has more than 20971520 bytes"),
    "only zeros": (lambda: bytes(20 * MIB), UNDECODABLE, "is not a PNG, JPEG or WebP picture"),
    "only marker prefixes": (lambda: b"\xff\xd8" + b"\xff" * (10 * MIB), UNDECODABLE, "is cut short"),
    "only segments": (lambda: b"\xff\xd8" + b"\xff\xe0\0\2" * MIB, UNDECODABLE, "is cut short"),
    "only empty chunks": (
        lambda: PNG_SIGNATURE + chunk(b"IHDR", bytes(13)) + chunk(b"aaAa") * 100_000 + chunk(b"IEND"),
        UNDECODABLE,
        "is a broken PNG picture",
    ),
}
HARMLESS = {
    "much data behind the pixels": lambda: png(zeros(100 * MIB), (1, 1)),
    "as many pixels as allowed, with alpha to look for": lambda: png(
        zeros(10_001 * 5_000), (10_000, 5_000), chunk(b"PLTE", bytes(3)), chunk(b"tRNS", b"\0"), colour=3
    ),
}


@pytest.fixture
def calm() -> Iterator[None]:
    """The peak memory of this process, the service's part, does not rise by 40 MB over the test."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    before = memory()
    yield
    assert memory() - before < 40_000


def memory() -> int:
    """Return the peak resident memory in kB, or 0 where it is not known."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+)", status.read_text()) if status.exists() else None
    return int(found[1]) if found else 0


@pytest.fixture
def bomb(request: pytest.FixtureRequest) -> bytes:
    """The bytes, made before the memory is measured."""
    data: bytes = request.param()
    return data


@pytest.mark.parametrize(
    ("bomb", "reason", "description"),
    [pytest.param(*row, id=name) for name, row in BOMBS.items()],
    indirect=["bomb"],
)
@pytest.mark.usefixtures("calm")
async def test_a_bomb_is_refused(
    bomb: bytes, library: ImageLibrary, tmp_path: Path, reason: Reason, description: str
) -> None:
    with pytest.raises(Refusal) as refused:
        await library.add_bytes(bomb, field="chunk")
    assert refused.value.reason is reason
    assert description in refused.value.message
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    "bomb", [pytest.param(make, id=name) for name, make in HARMLESS.items()], indirect=["bomb"]
)
@pytest.mark.usefixtures("calm")
async def test_what_is_within_the_limits_passes_unfelt(bomb: bytes, library: ImageLibrary) -> None:
    await asyncio.gather(library.add_bytes(bomb, field="chunk"), library.add_bytes(bomb, field="chunk"))
