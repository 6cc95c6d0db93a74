"""Which words mean which operation: ``local/basic`` does what it is told, in two languages."""

import pytest

from imageedit_server.providers.local.language.instructions import MAX_STEPS, understand
from tests.providers.local.support import told

ENGLISH = [
    ("make it black and white and a bit sharper", ["grayscale +1.00", "sharpen +0.25"]),
    ("Make it brighter, warmer, and sharper.", ["brightness +0.30", "warmth +0.35", "sharpen +0.50"]),
    ("brighten the skin tone", ["brightness +0.30 skin"]),
    ("make her skin lighter and warmer", ["brightness +0.30 skin", "warmth +0.35 skin"]),
    ("smooth the skin a little", ["blur +0.15 skin"]),
    ("lift the shadows, reduce the highlights", ["brightness +0.30 shadows", "brightness -0.30 highlights"]),
    ("please could you make this picture a bit more contrasty, thanks!", ["contrast +0.15"]),
    ("b&w", ["grayscale +1.00"]),
    ("turn it to black and white", ["grayscale +1.00"]),
    ("remove the color", ["grayscale +1.00"]),
    ("slightly black and white", ["grayscale +0.50"]),
    ("make it look like a vintage photo", ["sepia +1.00"]),
    ("invert the colors", ["invert +1.00"]),
    ("make the colors pop", ["saturation +0.35"]),
    ("add a vignette", ["vignette +0.50"]),
    ("fade it a little", ["fade +0.30"]),
    ("blur", ["blur +0.30"]),
    ("brighter/warmer/sharper", ["brightness +0.30", "warmth +0.35", "sharpen +0.50"]),
    ("1. brighter 2. warmer", ["brightness +0.30", "warmth +0.35"]),
    ("warm and bright with a vignette", ["warmth +0.35", "brightness +0.30", "vignette +0.50"]),
    ("not only brighter but also warmer", ["brightness +0.30", "warmth +0.35"]),
    ("don't forget to sharpen it", ["sharpen +0.50"]),
]

CHINESE = [
    ("将肤色调亮一些，加一点暖色", ["brightness +0.15 skin", "warmth +0.17"]),
    ("請將膚色調亮一些，加一點暖色", ["brightness +0.15 skin", "warmth +0.17"]),
    ("请帮我把照片调亮一点，谢谢", ["brightness +0.15"]),
    ("把照片变成黑白的，然后稍微锐化一下", ["grayscale +1.00", "sharpen +0.25"]),
    ("亮一点暖一点", ["brightness +0.15", "warmth +0.17"]),
    ("将照片调亮，再暖一点", ["brightness +0.30", "warmth +0.17"]),
    ("提高亮度、对比度和饱和度", ["brightness +0.30", "contrast +0.30", "saturation +0.35"]),
    ("提高亮度降低对比度", ["brightness +0.30", "contrast -0.30"]),
    ("对比度提高饱和度降低", ["contrast +0.30", "saturation -0.35"]),
    ("亮度和对比度都提高20%", ["brightness +0.20", "contrast +0.20"]),
    ("颜色再鲜艳一点", ["saturation +0.17"]),
    ("清晰一些", ["sharpen +0.25"]),
    ("去色", ["grayscale +1.00"]),
    ("复古", ["sepia +1.00"]),
    ("反色", ["invert +1.00"]),
    ("模糊", ["blur +0.30"]),
    ("冷色调", ["warmth -0.35"]),
    ("磨皮，美白", ["blur +0.30 skin", "brightness +0.30 skin"]),
    ("皮肤白一点", ["brightness +0.15 skin"]),
    ("压暗高光，提亮暗部", ["brightness -0.30 highlights", "brightness +0.30 shadows"]),
    ("为照片添加暗角", ["vignette +0.50"]),
    ("make it brighter，再加一点暖色", ["brightness +0.30", "warmth +0.17"]),
]

STRENGTHS = [
    ("a touch of warmth", ["warmth +0.10"]),
    ("slightly brighter", ["brightness +0.15"]),
    ("brighten it a bit", ["brightness +0.15"]),
    ("brighter", ["brightness +0.30"]),
    ("a lot brighter", ["brightness +0.54"]),
    ("extremely bright", ["brightness +0.78"]),
    ("a little warmer, a lot brighter", ["warmth +0.17", "brightness +0.54"]),
    ("add some contrast and a tiny bit of warmth", ["contrast +0.30", "warmth +0.10"]),
    ("increase brightness and contrast by 20 percent", ["brightness +0.20", "contrast +0.20"]),
    ("reduce contrast and saturation by 30%", ["contrast -0.30", "saturation -0.30"]),
    ("30% more contrast", ["contrast +0.30"]),
    ("brightness +20, contrast -10", ["brightness +0.20", "contrast -0.10"]),
    ("set contrast to 80%", ["contrast -0.20"]),
    ("brightness 120%", ["brightness +0.20"]),
    ("brightness: +15%, saturation: -5%", ["brightness +0.15", "saturation -0.05"]),
    ("double the contrast", ["contrast +1.00"]),
    ("reduce saturation by half", ["saturation -0.50"]),
    ("brighten by 1.5x", ["brightness +0.50"]),
    ("brightness +9999%", ["brightness +2.00"]),
    ("稍微亮一点", ["brightness +0.15"]),
    ("大幅提高对比度", ["contrast +0.54"]),
    ("暖很多", ["warmth +0.63"]),
    ("降低饱和度20％，对比度提高三成", ["saturation -0.20", "contrast +0.30"]),
    ("亮度提高百分之二十", ["brightness +0.20"]),
    ("饱和度加倍", ["saturation +1.00"]),
    ("对比度调到80%", ["contrast -0.20"]),
]

OPPOSITES = [
    ("less warm", ["warmth -0.35"]),
    ("less blurry", ["sharpen +0.50"]),
    ("reduce the blur", ["sharpen +0.50"]),
    ("less color", ["saturation -0.35"]),
    ("less yellow", ["tint -0.50 #f5d400"]),
    ("too much contrast", ["contrast -0.30"]),
    ("it's too dark", ["brightness +0.30"]),
    ("the photo is too dark, please brighten it a lot", ["brightness +0.54"]),
    ("not bright enough", ["brightness +0.30"]),
    ("the picture looks dull", ["saturation +0.35"]),
    ("it's blurry, fix it", ["sharpen +0.50"]),
    ("dark photo, brighten", ["brightness +0.30"]),
    ("the colors are too strong", ["saturation -0.63"]),
    ("the photo looks yellow", ["tint -0.50 #f5d400"]),
    ("画面偏黄，冷一点", ["tint -0.50 #f5d400", "warmth -0.17"]),
    ("降低一点亮度", ["brightness -0.15"]),
    ("不那么暖", ["warmth -0.35"]),
    ("照片太暗了，提亮一点", ["brightness +0.15"]),
    ("照片有点模糊", ["sharpen +0.25"]),
    ("画面整体偏冷，暖一点", ["warmth +0.17"]),
    ("不够亮", ["brightness +0.30"]),
]

NEGATIONS = [
    ("don't blur it", []),
    ("don’t blur or sharpen", []),
    ("don't blur and sharpen", []),
    ("do not change the contrast", []),
    ("not too bright", []),
    ("no blur, no sharpening, only warmer please", ["warmth +0.35"]),
    ("don't blur, sharpen instead", ["sharpen +0.50"]),
    ("don't blur it and make it brighter", ["brightness +0.30"]),
    ("without blurring, brighten it by 20%", ["brightness +0.20"]),
    ("make it warmer without changing the contrast or saturation", ["warmth +0.35"]),
    ("keep the contrast, make it warmer", ["warmth +0.35"]),
    ("leave the saturation as it is and raise contrast", ["contrast +0.30"]),
    ("brighter but not too much", ["brightness +0.18"]),
    ("不要模糊", []),
    ("别太亮", []),
    ("不要模糊，锐化一点", ["sharpen +0.25"]),
    ("保持亮度和对比度不变，加一点暖色", ["warmth +0.17"]),
    ("不要改变颜色，只提高清晰度", ["sharpen +0.50"]),
    ("增强对比度，但不要太过分", ["contrast +0.18"]),
]

COLORS = [
    ("light blue tint", ["tint +0.50 #97b7ee"]),
    ("blue", ["tint +0.50 #2f6fde"]),
    ("make it blue", ["tint +0.75 #2f6fde"]),
    ("tint it bright red by 30%", ["tint +0.30 #d92b2b"]),
    ("add a hint of #ff8800", ["tint +0.15 #ff8800"]),
    ("a rose gold tint", ["tint +0.50 #b76e79"]),
    ("color it cornflowerblue", ["tint +0.50 #6495ed"]),
    ("加一层淡淡的粉色", ["tint +0.25 #f4a6c0"]),
    ("变成蓝色调", ["tint +0.75 #2f6fde"]),
    ("偏蓝一点", ["tint +0.25 #2f6fde"]),
]

SHAPES = [
    ("flip", ["flip horizontal"]),
    ("flip it vertically", ["flip vertical"]),
    ("mirror the image", ["flip horizontal"]),
    ("rotate", ["rotate 90"]),
    ("rotate 90 degrees clockwise", ["rotate 90"]),
    ("rotate -90°", ["rotate 270"]),
    ("rotate counterclockwise by 45 degrees", ["rotate 315"]),
    ("turn it left", ["rotate 270"]),
    ("turn it upside down", ["rotate 180"]),
    ("flip horizontally and rotate 180", ["flip horizontal", "rotate 180"]),
    ("crop to 16:9", ["crop 16:9"]),
    ("resize to 800x600", ["crop 800x600"]),
    ("make it square", ["crop 1:1"]),
    ("水平翻转", ["flip horizontal"]),
    ("左右翻转", ["flip horizontal"]),
    ("上下翻转", ["flip vertical"]),
    ("镜像", ["flip horizontal"]),
    ("顺时针旋转90度", ["rotate 90"]),
    ("向左旋转", ["rotate 270"]),
    ("逆时针转九十度", ["rotate 270"]),
    ("裁剪到16：9，然后黑白", ["crop 16:9", "grayscale +1.00"]),
]

TRAPS = [
    ("sharp contrast", ["contrast +0.30"]),
    ("bright colors", ["saturation +0.35"]),
    ("turn the brightness up", ["brightness +0.30"]),
    ("cool down the colors", ["warmth -0.35"]),
    ("crop it to 4:3, not 16:9", ["crop 4:3"]),
    ("soft light", ["contrast -0.30"]),
    ("not so bright", ["brightness -0.30"]),
    ("加暗角", ["vignette +0.50"]),
    ("调亮度高一点", ["brightness +0.30"]),
]


def _ids(table):
    return [prompt for prompt, _ in table]


@pytest.mark.parametrize(("prompt", "steps"), ENGLISH, ids=_ids(ENGLISH))
def test_english(prompt, steps):
    """Clauses are found and carried out in their order."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), CHINESE, ids=_ids(CHINESE))
def test_chinese(prompt, steps):
    """Chinese says the same, in both scripts and mixed with English."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), STRENGTHS, ids=_ids(STRENGTHS))
def test_strengths(prompt, steps):
    """A bit is half, a lot is nearly twice, numbers are what they say, and each goes with its own clause."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), OPPOSITES, ids=_ids(OPPOSITES))
def test_opposites(prompt, steps):
    """Less turns an operation round, and so does a complaint; a complaint with its remedy counts once."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), NEGATIONS, ids=_ids(NEGATIONS))
def test_negations(prompt, steps):
    """What is forbidden is not done, and forbidding it is understood: nothing is warned about."""
    reading = understand(prompt, masked=False)
    assert told(reading) == steps
    assert reading.content
    assert reading.unapplied == ()


@pytest.mark.parametrize(("prompt", "steps"), COLORS, ids=_ids(COLORS))
def test_colors(prompt, steps):
    """Colors are known by name in both languages, with their shades, and by number."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), SHAPES, ids=_ids(SHAPES))
def test_shapes(prompt, steps):
    """Turns are clockwise unless said otherwise."""
    assert told(understand(prompt, masked=False)) == steps


@pytest.mark.parametrize(("prompt", "steps"), TRAPS, ids=_ids(TRAPS))
def test_traps(prompt, steps):
    """Words that look like another operation."""
    assert told(understand(prompt, masked=False)) == steps


IMPOSSIBLE = [
    "put a hat on her",
    "fix the flipped collar",
    "flip her hair",
    "give her a bright smile",
    "add a red hat",
    "change her hair to blonde",
    "make the dress red",
    "the black and white dress",
    "make the hat in the photo brighter",
    "sharpen the eyes",
    "blur the background",
    "make the sky more blue",
    "make it better",
    "remove the color cast",
    "rotate the bottle",
    "给她戴一顶帽子",
    "虚化背景",
    "背景换成白色",
    "换成红色的裙子",
    "让月亮大一点",
    "漂亮一点的口红",
    "brighten the photo of my sister in Paris",
    "brighten the zebra photo",
]


@pytest.mark.parametrize("clause", IMPOSSIBLE)
def test_impossible_clauses_are_named_word_for_word(clause):
    """A clause about a thing that cannot be found in the picture changes nothing, and the caller is told."""
    reading = understand(f"sepia, {clause}", masked=False)
    assert told(reading) == ["sepia +1.00"]
    assert reading.warnings("local/basic") == (
        f'The clause "{clause}" was not applied: local/basic cannot do that.',
    )


@pytest.mark.parametrize(
    ("prompt", "steps"),
    [
        ("make the dress red", ["tint +0.75 #d92b2b"]),
        ("make the red dress blue", ["tint +0.75 #2f6fde"]),
        ("brighten the black dress", ["brightness +0.30"]),
        ("remove the logo", ["erase"]),
        ("erase", ["erase"]),
        ("fill it with light grey", ["fill #c0c0c0"]),
        ("把帽子去掉", ["erase"]),
        ("涂成红色", ["fill #d92b2b"]),
        ("把衣服变成深蓝色", ["tint +0.75 #14306e"]),
        ("keep the background unchanged, brighter", ["brightness +0.30"]),
    ],
)
def test_with_a_mask_the_thing_is_what_it_shows(prompt, steps):
    """A mask says where, so a thing that words alone cannot point at can be edited."""
    reading = understand(prompt, masked=True)
    assert told(reading) == steps
    assert reading.unapplied == ()


@pytest.mark.parametrize("clause", ["rotate left", "flip it", "水平翻转", "crop to square"])
def test_with_a_mask_the_picture_keeps_its_shape(clause):
    """Pixels outside the mask stay, so nothing can be turned or cropped by words."""
    reading = understand(f"brighter, {clause}", masked=True)
    assert told(reading) == ["brightness +0.30"]
    assert reading.warnings("local/basic") == (
        f'The clause "{clause}" was not applied: with a mask the picture keeps its shape.',
    )


@pytest.mark.parametrize("clause", ["remove the logo", "fill it with blue", "擦除水印"])
def test_without_a_mask_nothing_is_erased_or_filled(clause):
    """Only a mask says what to take away."""
    reading = understand(f"brighter, {clause}", masked=False)
    assert told(reading) == ["brightness +0.30"]
    assert reading.warnings("local/basic") == (f'The clause "{clause}" was not applied: that needs a mask.',)


def test_a_face_is_found_by_its_skin_and_the_caller_is_told():
    """The face and the hands have one color."""
    reading = understand("brighten the face", masked=False)
    assert told(reading) == ["brightness +0.30 skin"]
    assert reading.warnings("local/basic") == (
        'The clause "brighten the face" was applied to every part with the color of skin.',
    )


def test_a_part_that_is_to_stay_is_named_when_it_cannot_be_kept():
    """Without a mask, local/basic would brighten the background with the rest: so it does nothing."""
    reading = understand("keep the background unchanged, brighter", masked=False)
    assert reading.steps == ()
    assert not reading.content
    assert reading.warnings("local/basic") == (
        'The clause "keep the background unchanged" was not applied: local/basic cannot do that.',
        'The clause "brighter" was not applied: local/basic cannot keep what another clause wants to stay.',
    )


@pytest.mark.parametrize("prompt", ["人物皮肤提亮，背景保持不变", "brighten the skin, keep the background"])
def test_what_only_concerns_skin_keeps_the_rest(prompt):
    """So there is nothing to warn about."""
    reading = understand(prompt, masked=False)
    assert told(reading) == ["brightness +0.30 skin"]
    assert reading.unapplied == ()


@pytest.mark.parametrize(
    "prompt", ["", " ", "hello", "please", "你好", "...", "👒", "thanks a lot", "42", "\x00"]
)
def test_politeness_asks_for_nothing(prompt):
    """Nothing is understood, and nothing is left undone either."""
    reading = understand(prompt, masked=False)
    assert (reading.steps, reading.content) == ((), False)


def test_the_number_of_steps_is_bounded():
    """A long prompt cannot keep a worker busy for minutes."""
    reading = understand(", ".join(["blur", "sharpen"] * 100), masked=False)
    assert len(reading.steps) == MAX_STEPS
    assert len(reading.warnings("local/basic")) <= 13
