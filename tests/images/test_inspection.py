"""Only one whole, sound PNG, JPEG or WebP passes, whoever made it (P18, P19, F52).

The rule is a pure function, so most of it is tested here without a process.
"""

import io
import pickle
import zlib
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imageedit_server.core.errors import Reason
from imageedit_server.core.image import Transparency
from imageedit_server.images.inspection import Inspection, InspectionFailed, inspect
from tests.images.pictures import PHOTO, PNG_SIGNATURE, chunk, encoded, png

Look = Callable[[bytes], Inspection]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Inspect bytes, with room for a megapixel."""
    path = tmp_path_factory.mktemp("look") / "picture"

    def look(data: bytes) -> Inspection:
        path.write_bytes(data)
        return inspect(path, max_pixels=1_000_000)

    return look


def small(mode: str = "RGB") -> Image.Image:
    """The photo as a thumbnail: 40 × 30 pixels."""
    return Image.open(io.BytesIO(PHOTO)).resize((40, 30)).convert(mode)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def rows(data: bytes, *extra: bytes, size: tuple[int, int] = (2, 1), colour: int = 0) -> bytes:
    """A PNG of raw rows, each after its filter byte."""
    return png(zlib.compress(data), size, *extra, colour=colour)


def jpeg_with_a_thumbnail() -> bytes:
    """A JPEG that holds another, with its own end, in a segment."""
    return encoded(small(), "JPEG", exif=b"Exif\0\0" + encoded(small(), "JPEG"))


SOUND = {
    "photo": PHOTO,
    "progressive jpeg": encoded(small(), "JPEG", progressive=True),
    "jpeg with restarts": encoded(small(), "JPEG", restart_marker_blocks=1),
    "jpeg in a jpeg": jpeg_with_a_thumbnail(),
    "cmyk jpeg": encoded(small("CMYK"), "JPEG"),
    "gray jpeg": encoded(small("L"), "JPEG"),
    "png": encoded(small(), "PNG"),
    "png with alpha": encoded(small("RGBA"), "PNG"),
    "webp": encoded(small(), "WEBP"),
    "lossless webp": encoded(small("RGBA"), "WEBP", lossless=True, exif=turned(1)),
}
CLOSED = {name: data for name, data in SOUND.items() if "jpeg" not in name and name != "photo"}
"""The formats whose end is the file's end."""

names = st.sampled_from(sorted(SOUND))
many = settings(max_examples=150)


def refused(look: Look, data: bytes) -> str:
    """Return why ``data`` is refused."""
    with pytest.raises(InspectionFailed) as failed:
        look(data)
    assert failed.value.reason is Reason.IMAGE_UNDECODABLE
    assert "<" not in failed.value.description
    return failed.value.description


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_picture_passes(look: Look, name: str) -> None:
    found = look(SOUND[name])
    assert found.media_type == Image.open(io.BytesIO(SOUND[name])).get_format_mimetype()
    assert (found.width, found.height) == ((512, 600) if name == "photo" else (40, 30))


@pytest.mark.parametrize("name", SOUND)
def test_a_picture_cut_at_any_percentage_is_refused(look: Look, name: str) -> None:
    for percent in range(100):
        refused(look, SOUND[name][: len(SOUND[name]) * percent // 100])


@many
@given(name=names, data=st.data())
def test_a_picture_cut_anywhere_is_refused(look: Look, name: str, data: st.DataObject) -> None:
    """P19. Pillow's ``verify`` passes half a JPEG, its ``load`` a PNG without IEND."""
    length = data.draw(st.integers(0, len(SOUND[name]) - 1))
    expected = "is empty" if not length else "is not a PNG, JPEG or WebP picture" if length < 12 else None
    assert refused(look, SOUND[name][:length]) in {expected, "is cut short"}


@pytest.mark.parametrize("name", SOUND)
def test_the_last_bytes_are_missed(look: Look, name: str) -> None:
    for missing in range(1, 16):
        assert refused(look, SOUND[name][:-missing]) == "is cut short"


@many
@given(name=st.sampled_from(sorted(CLOSED)), tail=st.binary(min_size=1))
@example(name="png", tail=b"<html>")
@example(name="webp", tail=b"\0")
def test_bytes_after_the_end_of_png_and_webp_are_refused(look: Look, name: str, tail: bytes) -> None:
    assert refused(look, CLOSED[name] + tail) == "has bytes after its end"


@many
@given(tail=st.binary())
def test_bytes_after_the_end_of_a_jpeg_are_allowed(look: Look, tail: bytes) -> None:
    """Cameras put them there."""
    assert look(SOUND["gray jpeg"] + tail) == look(SOUND["gray jpeg"])


@many
@given(head=st.sampled_from([b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\4\0\0\0WEBP"]), tail=st.binary())
@example(head=b"\xff\xd8\xff", tail=b"\xd9")
@example(head=b"", tail=chunk(b"IEND"))
@example(head=PNG_SIGNATURE, tail=chunk(b"IEND"))
@example(head=b"RIFF\4\0\0\0WEBP", tail=b"")
def test_noise_gets_the_refusal_and_nothing_else(look: Look, head: bytes, tail: bytes) -> None:
    refused(look, head + tail)


@many
@given(name=names, data=st.data())
def test_a_damaged_picture_passes_or_gets_the_refusal(look: Look, name: str, data: st.DataObject) -> None:
    damaged = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, min(len(damaged), 600) - 1))] = data.draw(st.integers(0, 255))
    with suppress(InspectionFailed):
        look(bytes(damaged))


FRAMES = " frames; give a picture of one"


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"", "is empty"),
        (b"hello", "is not a PNG, JPEG or WebP picture"),
        (encoded(small(), "GIF"), "is not a PNG, JPEG or WebP picture"),
        (encoded(small(), "TIFF"), "is not a PNG, JPEG or WebP picture"),
        (encoded(small(), "BMP"), "is not a PNG, JPEG or WebP picture"),
        (encoded(small(), "ICO"), "is not a PNG, JPEG or WebP picture"),
        (encoded(small(), "PDF"), "is not a PNG, JPEG or WebP picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is not a PNG, JPEG or WebP picture"),
        (b"GIF89a" + SOUND["png"], "is not a PNG, JPEG or WebP picture"),
        (SOUND["png"] + b"<html><script>", "has bytes after its end"),
        (SOUND["png"][:8] + SOUND["gray jpeg"], "is cut short"),
        (rows(b"\0" * 9, size=(9, 9)), "is a broken PNG picture"),
        (rows(b"\0\1\2", size=(0, 1)), "is a broken PNG picture"),
        (SOUND["png"].replace(b"IDAT", b"IDAX"), "is a broken PNG picture"),
        (SOUND["gray jpeg"].replace(b"\xff\xc0", b"\xff\xc3"), "is a broken JPEG picture"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", "is a broken WebP picture"),
        (encoded(small(), "PNG", save_all=True, append_images=[small("L")] * 2), "has 3" + FRAMES),
        (encoded(small(), "WEBP", save_all=True, append_images=[small("L")]), "has 2" + FRAMES),
        (encoded(small(), "MPO", save_all=True, append_images=[small("L")]), "has 2" + FRAMES),
    ],
)
def test_a_refusal_says_what_is_wrong(look: Look, data: bytes, description: str) -> None:
    assert refused(look, data) == description


def test_pillow_must_verify_what_it_would_load(look: Look) -> None:
    """A chunk after the pixels is checked by ``verify`` alone."""
    broken = SOUND["png"].replace(chunk(b"IEND"), chunk(b"tEXt", b"a\0b")[:-1] + b"!" + chunk(b"IEND"))
    Image.open(io.BytesIO(broken)).load()
    assert refused(look, broken) == "is a broken PNG picture"


def test_size_is_judged_by_the_header(look: Look) -> None:
    look(rows(b"\0" * 1_001_000, size=(1000, 1000)))
    with pytest.raises(InspectionFailed) as failed:
        look(rows(b"", size=(1001, 1000)))
    assert failed.value.reason is Reason.IMAGE_TOO_LARGE
    assert failed.value.description == "has 1001000 pixels; at most 1000000 are allowed"


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_width_and_height_are_as_seen(look: Look, name: str, orientation: int) -> None:
    found = look(encoded(small(), name, exif=turned(orientation)))
    assert (found.width, found.height) == ((30, 40) if orientation >= 5 else (40, 30))
    assert found.upright == (orientation == 1)


PALETTE = chunk(b"PLTE", b"abcdef")
OPAQUE, TRANSPARENT = Transparency.OPAQUE, Transparency.TRANSPARENT


@pytest.mark.parametrize(
    ("data", "transparency"),
    [
        (SOUND["photo"], Transparency.NONE),
        (SOUND["png"], Transparency.NONE),
        (SOUND["webp"], Transparency.NONE),
        (encoded(small("P"), "PNG"), Transparency.NONE),
        (SOUND["png with alpha"], OPAQUE),
        (rows(b"\0\5\xfe", size=(1, 1), colour=4), TRANSPARENT),
        (rows(b"\0\5\xff", size=(1, 1), colour=4), OPAQUE),
        (rows(b"\0abc\0", size=(1, 1), colour=6), TRANSPARENT),
        (rows(b"\0\0\1", PALETTE + chunk(b"tRNS", b"\xff\x7f"), colour=3), TRANSPARENT),
        (rows(b"\0\0\1", PALETTE + chunk(b"tRNS", b"\xff\0"), colour=3), TRANSPARENT),
        (rows(b"\0\0\0", PALETTE + chunk(b"tRNS", b"\xff\0"), colour=3), OPAQUE),
        (rows(b"\0\5\6", chunk(b"tRNS", b"\0\5")), TRANSPARENT),
        (rows(b"\0\5\6", chunk(b"tRNS", b"\0\7")), OPAQUE),
        (rows(b"\0abcdef", chunk(b"tRNS", b"\0a\0b\0c"), colour=2), TRANSPARENT),
        (rows(b"\0abcdef", chunk(b"tRNS", b"\0a\0b\0d"), colour=2), OPAQUE),
        (encoded(Image.new("RGBA", (9, 9), (1, 2, 3, 254)), "WEBP", lossless=True), TRANSPARENT),
    ],
)
def test_transparency_is_found_wherever_it_is_written(
    look: Look, data: bytes, transparency: Transparency
) -> None:
    assert look(data).transparency is transparency


def test_the_refusal_crosses_processes() -> None:
    failed = InspectionFailed(Reason.IMAGE_TOO_LARGE.name, "is too much")
    again = pickle.loads(pickle.dumps(failed))
    assert (again.reason, again.description) == (Reason.IMAGE_TOO_LARGE, "is too much")
