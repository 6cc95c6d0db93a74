"""Pictures made ready: nothing is touched that need not be, and nothing is lost that matters."""

from dataclasses import replace

import pytest
from PIL import Image, ImageChops

from imageedit_server.pictures.ready import EIGHT_BITS, Ready, Taken, make_mask_ready, make_ready
from tests.images.pictures import MIB
from tests.providers.openai.jobs import decoded, encoded, mask, opened, picture

ALL = Taken(modes=(*EIGHT_BITS, "I;16"), max_bytes=20 * MIB)
PNG = replace(ALL, media_types=("image/png",))


def turned_by(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def palette_image() -> Image.Image:
    """One pixel of color 2, the others of color 1."""
    image = Image.new("P", (8, 6), 1)
    image.putpalette([shade for shade in range(256) for _ in range(3)])
    image.putpixel((0, 0), 2)
    return image


def same(one: bytes, other: bytes) -> bool:
    difference = ImageChops.difference(opened(one), opened(other))
    return difference.getbbox(alpha_only=False) is None


@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
def test_a_conversion_to_png_loses_nothing(name: str) -> None:
    content = picture(name)
    made = make_ready(content, PNG)
    assert (made.media_type, made.converted, made.turned) == ("image/png", True, False)
    assert decoded(made.content).format == "PNG"
    assert same(made.content, content)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGB", "RGBA", "I;16"])
def test_every_kind_of_pixel_survives_being_turned(mode: str) -> None:
    image = Image.new(mode, (8, 6))
    made = make_ready(encoded(image, "PNG", exif=turned_by(6)), PNG)
    assert (decoded(made.content).mode, decoded(made.content).size) == (mode, (6, 8))


def test_printing_colors_become_screen_colors() -> None:
    made = make_ready(encoded(Image.new("CMYK", (8, 6), "red"), "JPEG"), PNG)
    assert decoded(made.content).mode == "RGB"


def test_transparent_colors_of_a_palette_stay_transparent() -> None:
    made = make_ready(encoded(palette_image(), "PNG", transparency=1, exif=turned_by(3)), PNG)
    assert made.turned
    alpha = opened(made.content).getchannel("A")
    assert (alpha.getpixel((7, 5)), alpha.getpixel((0, 0))) == (255, 0)


def test_the_color_profile_stays() -> None:
    profile = b"\0" * 128 + b"profile"
    made = make_ready(picture("JPEG", icc_profile=profile), PNG)
    assert decoded(made.content).info["icc_profile"] == profile


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_a_turned_picture_is_made_upright_in_its_own_format(name: str) -> None:
    made = make_ready(picture(name, (48, 64), exif=turned_by(6)), ALL)
    assert (made.media_type, made.turned, made.converted) == (Image.MIME[name], True, False)
    assert decoded(made.content).size == (64, 48)
    assert 0x0112 not in decoded(made.content).getexif()


# Masks


def test_a_png_mask_keeps_its_bytes() -> None:
    assert make_mask_ready(mask(), MIB) == Ready(content=mask(), media_type="image/png")


def test_another_mask_keeps_its_transparency() -> None:
    made = make_mask_ready(mask("WEBP"), MIB)
    assert (made.media_type, made.converted) == ("image/png", True)
    before, after = decoded(mask("WEBP")), decoded(made.content)
    assert after.mode == "RGBA"
    assert ImageChops.difference(before.getchannel("A"), after.getchannel("A")).getbbox() is None


def test_a_mask_without_a_channel_of_its_own_gets_one() -> None:
    """A colour key in a palette is transparency to us, but not to a vendor that wants an alpha channel."""
    made = make_mask_ready(encoded(palette_image(), "PNG", transparency=1), MIB)
    assert made.converted
    alpha = decoded(made.content).getchannel("A")
    assert (alpha.getpixel((0, 0)), alpha.getpixel((1, 0))) == (255, 0)
