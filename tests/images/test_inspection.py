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
from imageedit_server.images.inspection import Inspection, InspectionFailed
from imageedit_server.images.mending import make_good
from tests.images.pictures import PHOTO, PNG_SIGNATURE, chunk, encoded, png
from tests.pictures.ordinary import deep_png

Look = Callable[[bytes], Inspection]


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """Look at what a caller brings, with room for a megapixel."""
    path = tmp_path_factory.mktemp("look") / "picture"

    def look(data: bytes) -> Inspection:
        path.write_bytes(data)
        return make_good(path, max_pixels=1_000_000).inspection

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
    description = refused(look, SOUND[name][:length])
    unknown = length < 12 and "not a PNG, JPEG or WebP picture" in description
    assert description == "is empty" if not length else unknown or description == "is cut short"


@pytest.mark.parametrize("name", SOUND)
def test_the_last_bytes_are_missed(look: Look, name: str) -> None:
    for missing in range(1, 16):
        assert refused(look, SOUND[name][:-missing]) == "is cut short"


@many
@given(name=names, tail=st.binary(min_size=1))
@example(name="png", tail=b"<html>")
@example(name="webp", tail=b"\0")
@example(name="photo", tail=PHOTO)
def test_bytes_after_the_end_are_no_fault_of_the_picture(look: Look, name: str, tail: bytes) -> None:
    """Cameras, editors and databases put them there, and every viewer shows it."""
    assert look(SOUND[name] + tail) == look(SOUND[name])


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


OTHER = ", not a PNG, JPEG or WebP picture"
APNG = encoded(small(), "PNG", save_all=True, append_images=[small("L")] * 2)
MOVING_WEBP = encoded(small(), "WEBP", save_all=True, append_images=[small("L")])


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"", "is empty"),
        (b"\0\1\2", "is not a PNG, JPEG or WebP picture"),
        (b"hello", f"is text{OTHER}"),
        (b"<html><title>Sign in</title>", f"is a web page{OTHER}: send the picture itself, not the page"),
        (encoded(small(), "GIF"), f"is a GIF picture{OTHER}: save it as PNG"),
        (encoded(small(), "TIFF"), f"is a TIFF picture{OTHER}: save it as PNG or JPEG"),
        (encoded(small(), "BMP"), f"is a BMP picture{OTHER}: save it as PNG or JPEG"),
        (encoded(small(), "ICO"), f"is an icon{OTHER}: save it as PNG or JPEG"),
        (encoded(small(), "PDF"), f"is a PDF document{OTHER}: export the page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', f"is an SVG drawing{OTHER}: export it as PNG"),
        (b"GIF89a" + SOUND["png"], f"is a GIF picture{OTHER}"),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            f"is an HEIC picture{OTHER}: convert it to JPEG, or let the phone make JPEGs "
            "(on an iPhone: Settings, Camera, Formats, Most Compatible)",
        ),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf", f"is an AVIF picture{OTHER}: convert it to PNG or JPEG"),
        (SOUND["png"][:8] + SOUND["gray jpeg"], "is cut short"),
        (rows(b"\0" * 9, size=(9, 9)), "is a broken PNG picture"),
        (rows(b"\0\1\2", size=(0, 1)), "is a broken PNG picture"),
        (SOUND["png"].replace(b"IDAT", b"IDAX"), "is a broken PNG picture"),
        (SOUND["gray jpeg"].replace(b"\xff\xc0", b"\xff\xc3"), "is a broken JPEG picture"),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", "is a broken WebP picture"),
        (APNG, "is an animated PNG picture, which is not taken; send one frame of it"),
        (MOVING_WEBP, "is an animated WebP picture, which is not taken; send one frame of it"),
    ],
)
def test_a_refusal_says_what_is_wrong(look: Look, data: bytes, description: str) -> None:
    assert refused(look, data).startswith(description)


def test_pillow_must_verify_what_it_would_load(look: Look) -> None:
    """The pixels' checksums are checked by ``verify`` alone."""
    broken = bytearray(SOUND["png"])
    broken[broken.index(b"IEND") - 5] ^= 1
    Image.open(io.BytesIO(broken)).load()
    assert refused(look, bytes(broken)) == "is a broken PNG picture"


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
        (rows(b"\0\5\6", chunk(b"tRNS", b"\1\5")), TRANSPARENT),
        (deep_png(Image.new("L", (4, 1), 0x55), 2, 0, chunk(b"tRNS", b"\0\1")), TRANSPARENT),
        (deep_png(Image.new("L", (4, 1), 0x55), 2, 0, chunk(b"tRNS", b"\0\2")), OPAQUE),
        (deep_png(Image.new("L", (2, 1), 0x55), 4, 0, chunk(b"tRNS", b"\0\5")), TRANSPARENT),
        (deep_png(Image.new("L", (1, 1), 5), 16, 0, chunk(b"tRNS", b"\5\5")), TRANSPARENT),
        (deep_png(Image.new("RGB", (1, 1), (5, 6, 7)), 16, 2, chunk(b"tRNS", b"\5\5\6\6\7\7")), TRANSPARENT),
        (deep_png(Image.new("LA", (1, 1), (5, 254)), 16, 4), TRANSPARENT),
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
