"""What the operations do to a real photo, in numbers."""

import pytest
from PIL import Image, ImageChops, ImageFilter, ImageOps, ImageStat

from tests.providers.local.support import FACE, PHOTO, SKY, after, brightness, edited, mean, photo, picture_of

BEFORE = photo()


def _steepness(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L").filter(ImageFilter.FIND_EDGES)).mean[0]


def _colorfulness(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("HSV").getchannel("S")).mean[0]


def _warmth(image: Image.Image) -> float:
    red, _, blue = mean(image)
    return red - blue


def _spread(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L")).stddev[0]


@pytest.mark.parametrize(
    ("measure", "weak", "plain", "strong"),
    [
        (brightness, "a bit brighter", "brighter", "a lot brighter"),
        (_spread, "a bit more contrast", "more contrast", "a lot more contrast"),
        (_colorfulness, "slightly more saturation", "more saturation", "much more saturation"),
        (_warmth, "a bit warmer", "warmer", "much warmer"),
        (_warmth, "暖一点", "变暖", "暖很多"),
        (_steepness, "a bit sharper", "sharper", "a lot sharper"),
    ],
)
def test_more_is_more(measure, weak, plain, strong):
    """Each strength does more than the one below it, and the weakest is seen."""
    values = [measure(image) for image in (BEFORE, after(weak), after(plain), after(strong))]
    assert values == sorted(values)
    assert values[1] > values[0] + 0.5


@pytest.mark.parametrize(
    ("measure", "prompt"),
    [
        (brightness, "darker"),
        (_spread, "less contrast"),
        (_colorfulness, "less saturation"),
        (_warmth, "cooler"),
        (_steepness, "blur"),
        (_colorfulness, "fade it"),
        (brightness, "add a vignette"),
    ],
)
def test_less_is_less(measure, prompt):
    assert measure(after(prompt)) < measure(BEFORE) - 1


def test_a_bit_is_a_bit():
    """A tenth of the range would be a lot: a fashion editor asks for a nuance."""
    changed = ImageStat.Stat(ImageChops.difference(BEFORE, after("将肤色调亮一些，加一点暖色"))).mean
    assert all(0.3 < band < 12 for band in changed)


def test_brightening_keeps_black_and_white():
    """Highlights are not burnt out: white fabric keeps its folds."""
    image = after("much brighter")
    burnt = sum(image.convert("L").histogram()[252:]) / (image.width * image.height)
    assert burnt < 0.05
    assert sum(image.convert("L").histogram()[:5])


def test_grayscale_has_equal_channels():
    red, green, blue = after("make it black and white and a bit sharper").split()
    assert red.tobytes() == green.tobytes() == blue.tobytes()


def test_sepia_is_brown_in_the_middle_tones():
    red, green, blue = mean(after("sepia"), SKY)
    assert red > green + 5 > blue + 10


def test_invert_twice_is_the_picture():
    """Up to what JPEG rounds."""
    changed = ImageStat.Stat(ImageChops.difference(BEFORE, after("invert, then brighter 1%, invert"))).mean
    assert max(changed) < 4
    assert abs(brightness(after("invert")) - (255 - brightness(BEFORE))) < 1


@pytest.mark.parametrize(
    ("color", "band"), [("red", 0), ("green", 1), ("blue", 2), ("蓝色", 2), ("#00ff00", 1)]
)
def test_tint_shifts_towards_the_color(color, band):
    """And light and shade stay."""
    image = after(f"tint {color}")
    shifts = [new - old for new, old in zip(mean(image), mean(BEFORE), strict=True)]
    assert shifts[band] == max(shifts)
    assert abs(brightness(image) - brightness(BEFORE)) < 12


@pytest.mark.parametrize("prompt", ["brighten the skin tone", "将肤色调亮一些", "美白", "lighten her skin"])
def test_skin_brightening_is_about_skin(prompt):
    """The face gets brighter; the sky behind it does not change."""
    image = after(prompt)
    assert brightness(image, FACE) > brightness(BEFORE, FACE) + 4
    assert abs(brightness(image, SKY) - brightness(BEFORE, SKY)) < 0.5


def test_smooth_skin_keeps_the_features():
    """Wrinkles get weaker; the rim of the glasses and the collar stay sharp."""
    image = after("smooth the skin")
    forehead, glasses = (215, 140, 320, 165), (170, 175, 360, 200)
    assert _steepness(image.crop(forehead)) < 0.8 * _steepness(BEFORE.crop(forehead))
    assert _steepness(image.crop(glasses)) > 0.85 * _steepness(BEFORE.crop(glasses))


def test_without_skin_the_whole_picture_is_taken_and_that_is_said(tmp_path):
    path = tmp_path / "sea.png"
    ImageOps.colorize(Image.linear_gradient("L"), (0, 10, 60), (90, 150, 230)).save(path)
    result = edited("brighten the skin tone", path)
    assert result.warnings == (
        'No skin was found for the clause "brighten the skin tone", so it was applied to the whole picture.',
    )
    assert brightness(after("brighten the skin tone", path)) > brightness(Image.open(path)) + 5


def test_shadows_and_highlights():
    """Each goes its way and leaves the other alone."""
    uniform, shirt = (330, 420, 420, 470), (238, 445, 268, 480)
    lifted, lowered = after("lift the shadows a lot"), after("reduce the highlights")
    assert brightness(lifted, uniform) > brightness(BEFORE, uniform) + 3
    assert abs(brightness(lifted, shirt) - brightness(BEFORE, shirt)) < 4
    assert brightness(lowered, shirt) < brightness(BEFORE, shirt) - 1
    assert abs(brightness(lowered, uniform) - brightness(BEFORE, uniform)) < 0.5


def test_flips_and_turns_are_exact(tmp_path):
    """No pixel is lost; the canvas follows quarter turns."""
    path = tmp_path / "photo.png"
    BEFORE.save(path)
    table = {
        "flip it": Image.Transpose.FLIP_LEFT_RIGHT,
        "上下翻转": Image.Transpose.FLIP_TOP_BOTTOM,
        "rotate right": Image.Transpose.ROTATE_270,
        "向左旋转90度": Image.Transpose.ROTATE_90,
        "upside down": Image.Transpose.ROTATE_180,
    }
    for prompt, method in table.items():
        assert after(prompt, path).tobytes() == BEFORE.transpose(method).tobytes(), prompt


def test_other_angles_enlarge_the_canvas_on_white():
    image = after("rotate 30 degrees")
    assert image.width > BEFORE.width
    assert image.height > BEFORE.height
    assert min(mean(image, (0, 0, 20, 20))) > 250


@pytest.mark.parametrize(
    ("prompt", "size"),
    [
        ("resize to 50%", (256, 300)),
        ("把图片缩小一半", (256, 300)),
        ("make it 256 pixels wide", (256, 300)),
        ("高度改为 300 像素", (256, 300)),
        ("crop to a square, then make it 100 pixels tall", (100, 100)),
    ],
)
def test_a_size_in_percent_or_of_one_side_keeps_the_shape(prompt, size):
    assert after(prompt).size == size


def test_no_size_in_words_passes_what_a_result_may_have(tmp_path):
    """A narrow strip would become 80,000 pixels high; the caller is told what it became."""
    path = tmp_path / "strip.png"
    Image.new("RGB", (10, 1000), "navy").save(path)
    result = edited("make it 800 pixels wide", path)
    assert picture_of(result.content).size == (81, 8192)
    assert result.warnings == (
        'The clause "make it 800 pixels wide" asks for more pixels than a result may have, '
        "so it was made 81x8192.",
    )


def test_steps_are_carried_out_in_order():
    """Inverted and then tinted is not tinted and then inverted."""
    assert after("invert, tint it red").tobytes() != after("tint it red, invert").tobytes()


def test_same_input_same_bytes():
    """NATIVE_KEY rests on it: an interrupted attempt is simply run again (DESIGN §4)."""
    prompt = "brighter, warmer skin, sharpen, vignette, rotate 5 degrees"
    assert edited(prompt).content == edited(prompt, PHOTO).content
