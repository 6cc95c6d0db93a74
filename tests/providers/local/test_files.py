"""What comes in and what goes out: formats, modes, orientation, color profiles, sizes."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from imageedit_server.core.sizes import ANY_PIXELS, ANY_RATIO, accepts
from imageedit_server.providers.local import geometry
from imageedit_server.providers.local.picture import Picture
from imageedit_server.providers.local.plan import PictureError
from tests.providers.local.support import PHOTO, after, brightness, edited, mean, photo, pixel

SMALL = photo().resize((80, 90))


def _saved(tmp_path, image, name, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def _rgba():
    image = SMALL.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


@pytest.mark.parametrize(
    ("mode", "name", "expected"),
    [
        ("RGB", "a.jpg", ("JPEG", "RGB")),
        ("L", "a.jpg", ("JPEG", "L")),
        ("CMYK", "a.jpg", ("JPEG", "RGB")),
        ("RGB", "a.png", ("PNG", "RGB")),
        ("L", "a.png", ("PNG", "L")),
        ("1", "a.png", ("PNG", "L")),
        ("P", "a.png", ("PNG", "RGB")),
        ("I;16", "a.png", ("PNG", "L")),
        ("LA", "a.png", ("PNG", "LA")),
        ("RGBA", "a.png", ("PNG", "RGBA")),
        ("RGB", "a.webp", ("WEBP", "RGB")),
        ("RGBA", "a.webp", ("PNG", "RGBA")),
    ],
)
def test_formats_and_modes(tmp_path, mode, name, expected):
    """PNG with alpha, else the input's own format; gray stays gray; and it really gets brighter."""
    source = _rgba() if mode in ("RGBA", "LA") else SMALL
    image = Image.new("I;16", SMALL.size, 20_000) if mode == "I;16" else source.convert(mode)
    path = _saved(tmp_path, image, name)
    result = after("brighter", path)
    assert (result.format, result.mode) == expected
    assert result.size == SMALL.size
    eight_bits = Image.new("L", SMALL.size, 20_000 // 256) if mode == "I;16" else image.convert("RGB")
    if mode != "1":  # black and white stay
        assert brightness(result.convert("RGB")) > brightness(eight_bits) + 3


def test_a_gray_picture_can_get_color(tmp_path):
    path = _saved(tmp_path, SMALL.convert("L"), "gray.jpg")
    assert after("sepia", path).mode == "RGB"


def test_sixteen_bits_become_eight_and_that_is_said(tmp_path):
    """Pillow's own conversion would clip all but the darkest tones."""
    image = Image.new("I;16", (64, 64))
    image.putdata([tone * 16 for tone in range(4096)])
    result = edited("brightness +1%", _saved(tmp_path, image, "deep.png"))
    assert result.warnings == ("The picture has 16 bits for each channel; the result has 8.",)
    with Image.open(BytesIO(result.content)) as shown:
        assert pixel(shown, (0, 0))[0] < 3
        assert pixel(shown, (63, 63))[0] > 250
        assert 124 < pixel(shown, (0, 32))[0] < 134


def test_a_palette_with_transparency_keeps_it(tmp_path):
    image = SMALL.quantize(16)
    path = _saved(tmp_path, image, "palette.png", transparency=0)
    result = after("brighter", path)
    assert result.mode == "RGBA"
    assert result.getchannel("A").getextrema() == (0, 255)


def test_a_transparent_color_becomes_alpha(tmp_path):
    image = Image.new("RGB", (8, 8), (10, 20, 30))
    image.putpixel((0, 0), (200, 0, 0))
    result = after("brighter", _saved(tmp_path, image, "key.png", transparency=(200, 0, 0)))
    assert result.mode == "RGBA"
    assert (pixel(result, (0, 0))[3], pixel(result, (1, 1))[3]) == (0, 255)


def test_blur_does_not_pull_color_out_of_transparency(tmp_path):
    """What is under full transparency is not seen, so it must not shine through."""
    image = Image.new("RGBA", (60, 60), (0, 255, 0, 0))
    image.paste((200, 0, 0, 255), (20, 20, 40, 40))
    result = after("blur", _saved(tmp_path, image, "cut.png"))
    assert pixel(result, (19, 30))[1] < 10
    assert 0 < pixel(result, (19, 30))[3] < 255


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_dropped(tmp_path, orientation):
    """The result looks as the input did, and no viewer turns it again."""
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = SMALL.transpose(inverse[orientation]) if orientation > 1 else SMALL
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = after("flip it", _saved(tmp_path, stored, "turned.png", exif=exif))
    assert result.tobytes() == SMALL.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()
    assert not result.getexif()


def test_metadata_is_dropped(tmp_path):
    """No place, no camera, no comment leaves the house."""
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    path = _saved(tmp_path, photo(), "tagged.jpg", exif=exif, comment=b"secret comment", dpi=(300, 300))
    content = edited("brighter", path).content
    assert b"secret" not in content
    assert b"Exif" not in content


def _lab_profile() -> bytes:
    """A good profile, but not of pictures like ours."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _swapped_profile() -> bytes:
    """An RGB profile that is not sRGB: red and blue trade places."""
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = data.replace(b"rXYZ", b"tmp_", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp_", b"bXYZ", 1)
    return data.replace("sRGB".encode("utf-16-be"), "odd_".encode("utf-16-be"))


def test_an_embedded_profile_is_converted_so_that_colors_stay(tmp_path):
    """A profile that swaps red and blue: the result is swapped for good, and needs no profile."""
    path = _saved(
        tmp_path, Image.new("RGB", (40, 40), (200, 60, 20)), "odd.png", icc_profile=_swapped_profile()
    )
    result = after("brightness +1%", path)
    assert "icc_profile" not in result.info
    red, _, blue = mean(result)
    assert blue > red + 100


def test_with_a_mask_the_profile_stays_since_the_pixels_do(tmp_path):
    """Converting would change every pixel outside the mask."""
    path = _saved(
        tmp_path, Image.new("RGB", (40, 40), (200, 60, 20)), "odd.png", icc_profile=_swapped_profile()
    )
    mask = Image.new("RGBA", (40, 40), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 20, 40))
    result = after("invert", path, mask=_saved(tmp_path, mask, "mask.png"))
    assert result.info["icc_profile"] == _swapped_profile()
    assert pixel(result, (30, 30)) == (200, 60, 20)


@pytest.mark.parametrize("profile", [b"nonsense", _lab_profile()])
def test_a_useless_profile_is_ignored(tmp_path, profile):
    path = _saved(tmp_path, SMALL, "odd.png", icc_profile=profile)
    assert after("flip", path).tobytes() == SMALL.transpose(Image.Transpose.FLIP_LEFT_RIGHT).tobytes()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("auto", (512, 600)),
        ("", (512, 600)),
        ("1:1", (512, 512)),
        ("16:9", (512, 288)),
        ("3:4", (450, 600)),
        ("100:1", (512, 5)),
        ("1024x1024", (1024, 1024)),
        ("300x200", (300, 200)),
        ("512x600", (512, 600)),
        ("1x1", (1, 1)),
    ],
)
def test_sizes(size, expected):
    """A ratio is the largest centred crop; pixels are that crop, scaled (DESIGN §7)."""
    assert after("brighter", size=size).size == expected


def test_crops_are_centred_and_scale_nothing_askew():
    image = after("brightness +1%", size="256x256")
    expected = photo().crop((0, 44, 512, 556)).resize((256, 256), Image.Resampling.LANCZOS)
    assert max(ImageStat.Stat(ImageChops.difference(image, expected)).mean) < 4


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 100), st.integers(1, 100))
@settings(max_examples=100)
def test_every_ratio_of_every_picture_can_be_cut(width, height, across, down):
    """The crop is inside, at least a pixel, and as near to the ratio as whole pixels go."""
    size = f"{across}:{down}"
    assert accepts((ANY_PIXELS, ANY_RATIO), size)
    picture = Picture(colors=Image.new("RGB", (width, height)), alpha=None, format="PNG")
    cut = geometry.fit(picture, size).size
    assert 1 <= cut[0] <= width
    assert 1 <= cut[1] <= height
    assert cut[0] == width or cut[1] == height


def test_words_and_size_go_together():
    """Words are followed first, the size last."""
    assert after("rotate left", size="1:1").size == (512, 512)
    assert after("crop to 16:9", size="600x600").size == (600, 600)


def test_tiny_pictures_survive_everything(tmp_path):
    path = _saved(tmp_path, Image.new("RGB", (1, 1), (120, 90, 80)), "dot.png")
    prompt = "brighter, blur, sharpen, vignette, smooth the skin, lift the shadows, rotate 45, flip, sepia"
    assert after(prompt, path).width >= 1


@pytest.mark.parametrize("content", [b"", b"not a picture", PHOTO.read_bytes()[:20_000]])
def test_broken_files_are_named_as_such(tmp_path, content):
    path = tmp_path / "broken.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError, match="The picture cannot be read"):
        edited("brighter", path)
