"""A turned picture is neither larger nor worse than it need be; what would be too large loses quality."""

from io import BytesIO

import pytest
from PIL import Image, ImageFilter
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from imageedit_server.pictures.ready import Ready, Taken, make_mask_ready, make_ready
from tests.images.pictures import MIB, PHOTO, encoded
from tests.pictures.ordinary import exif, seen, unlike

TAKEN = Taken(max_bytes=20 * MIB)
WHOLE, HALF_THE_COLUMNS, HALF = 0, 1, 2
"""Pillow's numbers of subsampling."""


def photo(mode: str = "RGB") -> Image.Image:
    with Image.open(BytesIO(PHOTO)) as image:
        return image.reduce(2).convert(mode)


def turned(orientation: int, name: str = "JPEG", mode: str = "RGB", **options: object) -> bytes:
    return encoded(photo(mode), name, exif=exif(orientation), **options)


def jpeg(content: bytes) -> JpegImageFile:
    image = Image.open(BytesIO(content), formats=["JPEG"])
    assert isinstance(image, JpegImageFile)
    return image


@pytest.mark.parametrize("quality", [50, 75, 90, 97])
@pytest.mark.parametrize("sampling", [WHOLE, HALF_THE_COLUMNS, HALF])
def test_a_jpeg_turned_by_half_keeps_its_quantisation_and_subsampling(quality: int, sampling: int) -> None:
    content = turned(3, quality=quality, subsampling=sampling)
    made = make_ready(content, TAKEN).content
    assert jpeg(made).quantization == jpeg(content).quantization
    assert get_sampling(jpeg(made)) == sampling
    assert len(made) < 1.1 * len(content)


@pytest.mark.parametrize("quality", [50, 75, 90, 97])
@pytest.mark.parametrize(("sampling", "becomes"), [(WHOLE, WHOLE), (HALF_THE_COLUMNS, WHOLE), (HALF, HALF)])
def test_a_quarter_turn_turns_them_too(quality: int, sampling: int, becomes: int) -> None:
    """Half the rows of chroma cannot be written, so all are."""
    content = turned(6, quality=quality, subsampling=sampling)
    made = make_ready(content, TAKEN).content
    before, after = jpeg(content).quantization[0], jpeg(made).quantization[0]
    assert [after[8 * row + column] for column in range(8) for row in range(8)] == before
    assert get_sampling(jpeg(made)) == becomes
    assert len(made) < 1.15 * len(content)


def test_a_progressive_jpeg_stays_one() -> None:
    content = turned(8, progressive=True, quality=80)
    made = make_ready(content, TAKEN).content
    assert jpeg(made).info["progressive"]
    assert len(made) < 1.05 * len(content)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_other_modes_keeps_its_size(mode: str) -> None:
    content = turned(6, mode=mode, quality=85)
    assert len(make_ready(content, TAKEN).content) < 1.05 * len(content)


def test_a_jpeg_of_hardly_any_compression_can_be_turned() -> None:
    """Pillow has no room to optimise it."""
    noise = Image.merge("RGB", [Image.effect_noise((300, 200), 100) for _ in "RGB"])
    content = encoded(noise, "JPEG", quality=100, subsampling=0, exif=exif(6), progressive=False)
    assert jpeg(make_ready(content, TAKEN).content).size == (200, 300)


@pytest.mark.parametrize("quality", [30, 60, 75, 90])
def test_a_lossy_webp_stays_lossy_and_no_larger(quality: int) -> None:
    content = turned(6, "WEBP", quality=quality)
    made = make_ready(content, TAKEN)
    assert (made.media_type, made.lowered) == ("image/webp", False)
    assert made.content[12:16] == b"VP8 "
    assert 0.6 * len(content) < len(made.content) < 1.1 * len(content) + 1024


def test_a_lossless_webp_stays_lossless() -> None:
    content = turned(6, "WEBP", lossless=True)
    made = make_ready(content, TAKEN).content
    assert made[12:16] == b"VP8L"
    assert unlike(seen(made), seen(content).transpose(Image.Transpose.ROTATE_270)) == 0


# Limits


LIMITED = [
    (turned(6, quality=90), "image/jpeg"),
    (turned(6, "WEBP", quality=90), "image/webp"),
    (turned(6, "WEBP", lossless=True), "image/webp"),
    (turned(6, "PNG"), "image/jpeg"),
]


@pytest.mark.parametrize(("content", "media_type"), LIMITED)
def test_quality_falls_before_the_limit_is_missed(content: bytes, media_type: str) -> None:
    limit = len(content) * 2 // 3
    made = make_ready(content, Taken(max_bytes=limit))
    assert len(made.content) <= limit
    assert (made.media_type, made.lowered, made.turned) == (media_type, True, True)
    assert unlike(seen(made.content), seen(content).transpose(Image.Transpose.ROTATE_270)) < 5


def test_what_is_transparent_stays_so_within_a_limit() -> None:
    image = photo()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    content = encoded(image, "PNG", exif=exif(6))
    made = make_ready(content, Taken(max_bytes=len(content) // 3))
    assert (made.media_type, made.lowered) == ("image/webp", True)
    assert len(made.content) <= len(content) // 3
    assert unlike(seen(made.content), seen(content).transpose(Image.Transpose.ROTATE_270)) < 5


def test_where_nothing_smaller_is_taken_it_stays_too_large() -> None:
    content = turned(6, "PNG")
    made = make_ready(content, Taken(media_types=("image/png",), max_bytes=1000))
    assert (made.media_type, made.lowered) == ("image/png", False)
    assert len(made.content) > 1000


def test_a_mask_that_is_too_large_is_made_anew() -> None:
    """Often it is the photo itself with a hole in it."""
    image = photo().filter(ImageFilter.GaussianBlur(2))
    alpha = Image.new("L", image.size, 255)
    alpha.paste(0, (50, 50, 100, 100))
    image.putalpha(alpha)
    content = encoded(image, "PNG")
    assert make_mask_ready(content, len(content)) == Ready(content=content, media_type="image/png")
    made = make_mask_ready(content, len(content) - 1)
    assert len(made.content) < 10_000
    with Image.open(BytesIO(made.content)) as mask:
        assert mask.getchannel("A").tobytes() == alpha.tobytes()
