"""Profiles count by what they do: not by their name, and not for pixels of another kind."""

import pytest
from PIL import Image, ImageCms

from imageedit_server.pictures.colors import in_color, to_srgb
from tests.pictures import profiles

BUILT_IN = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
NO_PROFILES = {
    "none": b"",
    "nonsense": b"nonsense" * 50,
    "cut short": profiles.rgb(profiles.ADOBE_RGB, 2.2, "Adobe RGB (1998)")[:200],
    "of gray": profiles.gray(1.0),
    "of Lab": ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
}


def colors() -> Image.Image:
    return Image.merge("RGB", [Image.radial_gradient("L").rotate(turn) for turn in (0, 90, 180)])


def test_srgb_by_any_name_changes_no_pixel() -> None:
    renamed = BUILT_IN.replace("sRGB".encode("utf-16-be"), "ABCD".encode("utf-16-be"))
    assert renamed != BUILT_IN
    for profile in (BUILT_IN, renamed):
        image = colors()
        assert to_srgb(image, profile) is image


@pytest.mark.parametrize("name", ["Display P3", "sRGB IEC61966-2.1", "sRGB"])
def test_another_space_is_converted_whatever_its_name(name: str) -> None:
    image = Image.new("RGB", (1, 1), (200, 60, 20))
    shown = to_srgb(image, profiles.rgb(profiles.DISPLAY_P3, 2.2, name))
    assert shown.getpixel((0, 0)) == (219, 37, 0)


@pytest.mark.parametrize("profile", NO_PROFILES.values(), ids=NO_PROFILES)
def test_what_is_no_profile_of_such_pixels_is_ignored(profile: bytes) -> None:
    assert to_srgb(colors(), profile).tobytes() == colors().tobytes()


def test_gray_stays_gray() -> None:
    """As light as in sRGB: half the light is 188 there."""
    shown = to_srgb(Image.new("L", (1, 1), 128), profiles.gray(1.0))
    assert shown.getpixel((0, 0)) == (188, 188, 188)


def test_printing_colors_are_those_of_the_press() -> None:
    shown = to_srgb(Image.new("CMYK", (1, 1), (255, 0, 0, 0)), profiles.cmyk())
    red, green, blue = shown.getpixel((0, 0))  # type: ignore[misc]
    assert abs(red - 30) < 8
    assert abs(green - 150) < 8
    assert abs(blue - 196) < 8


def test_gray_that_got_color_looks_as_light_as_it_did() -> None:
    image = Image.new("RGBA", (1, 1), (128, 128, 128, 77))
    assert in_color(image, profiles.gray(1.0)).getpixel((0, 0)) == (188, 188, 188, 77)
    assert in_color(image.convert("RGB"), profiles.gray(1.0)).getpixel((0, 0)) == (188, 188, 188)
