"""Sentences that a guess gets wrong: each is done as it is meant, or left; never the opposite (DESIGN §7)."""

import re

import pytest

from imageedit_server.providers.local.language.instructions import understand
from tests.providers.local.support import told

LEFT = ""

TABLE = [
    ("sharpen +", "fix the blurry photo · 修复这张模糊的照片 · sharpen this blurry picture"),
    ("sharpen +", "把这张模糊的照片变清晰"),
    ("sharpen +", "make this blurry photo sharper · sharpen the slightly blurry image"),
    ("sharpen +", "fix the out of focus shot"),
    (LEFT, "make it non blurry · make it non-blurry · make it not blurry · restore the blurry photo"),
    (LEFT, "让照片不模糊"),
    ("brightness +", "fix the dark photo · brighten this dark photo · brighten this underexposed photo"),
    ("brightness +", "dark photo, brighten"),
    ("brightness +", "make this dark photo brighter · 把这张昏暗的照片调亮"),
    ("brightness +", "brighten the dark and blurry photo · fix this dim picture"),
    ("brightness -", "fix overexposed photo · fix the blown out photo · 修复过曝的照片 · too bright"),
    ("contrast +", "increase the contrast of this faded photo · 提高这张褪色照片的对比度"),
    ("contrast +", "more contrast in this dull photo"),
    (LEFT, "restore this faded photo · 修复老照片 · restore the color of this faded photo · undo the fade"),
    (LEFT, "colorize this black and white photo · convert from black and white to color"),
    (LEFT, "给这张黑白照片上色"),
    (LEFT, "把黑白照片变成彩色 · turn the black and white photo into a color photo · 黑白照片变彩色"),
    (LEFT, "colorize it"),
    (LEFT, "make the black and white photo colorful again · add color to this sepia photo"),
    (LEFT, "让黑白照片变成彩色的"),
    (LEFT, "make the sepia photo look natural · make the vintage photo look modern · 让复古照片变自然"),
    (LEFT, "remove the sepia"),
    (LEFT, "make the inverted photo normal · make this flipped picture normal · un-rotate it · unflip it"),
    (LEFT, "un-invert"),
    (LEFT, "rotate it so that it is upright · rotate it, so that it is upright · straighten it"),
    (LEFT, "把倒置的照片转正 · rotate it back"),
    ("rotate 5$", "rotate slightly to the right · rotate a little · 稍微向右旋转 · tilt it a bit"),
    ("rotate 5$", "稍微旋转一下 · turn it slightly right"),
    ("rotate 355$", "rotate slightly to the left · 向左稍微旋转一点 · tilt it a little to the left"),
    (LEFT, "rotate a lot · rotate it left and right · tilt it · rotate left clockwise"),
    (LEFT, "fix the white balance · white balance · auto white balance · 修正白平衡 · 白平衡"),
    (LEFT, "better white balance"),
    (LEFT, "change red to green · turn the red into orange · 把红色变成蓝色 · 把蓝色换成绿色"),
    (LEFT, "replace red with blue · 把红变蓝"),
    (LEFT, "make the red blue · make the green parts red · make it blue and red · make it red, blue"),
    (LEFT, "红色改成绿色"),
    (LEFT, "make the blue more intense · boost the blue · 增强红色 · 让蓝色更鲜艳 · make the reds pop"),
    (LEFT, "more intense blue"),
    (LEFT, "make it black and white but keep the red · make everything black and white except the red"),
    (LEFT, "除了红色都变成黑白"),
    (LEFT, "make everything but the face black and white · make the image black & white except the flag"),
    (LEFT, "除人物外变成黑白"),
    (LEFT, "Make it black and white. Keep the red. · keep the red and make the rest black and white"),
    (LEFT, "保留红色，其他变成黑白"),
    (LEFT, "make it black and white, only the flag in color"),
    (LEFT, "make it black and white but leave the flag in color"),
    (LEFT, "把照片变成黑白，但保留红色 · 全部变黑白，红色除外 · brighten it, don't touch the sky"),
    (LEFT, "模糊除了脸以外的部分"),
    (LEFT, "make it darker but not the face · make it black and white without the red"),
    (LEFT, "变成黑白但是红色不变"),
    (LEFT, "if it is dark, brighten it · select the sky and make it darker"),
    (LEFT, "make it brighter only where it is dark"),
    (LEFT, "make the sky darker and bluer · make the sky darker, bluer and warmer"),
    (LEFT, "blur the sky and darken · make the sky blue"),
    ("contrast -", "make the lighting softer · soften the light · softer lighting · 光线柔和一点"),
    ("contrast -", "soft light"),
    ("contrast [+]0.50", "contrast: 1.5 · contrast 1.5 · set contrast to 1.5 · contrast=1.5x"),
    ("contrast [+]0.50", "对比度：1.5 · 对比度设为1.5 · contrast 150%"),
    ("contrast -0.20", "contrast: 0.8 · contrast to 80% · 对比度 0.8 · set the contrast to 0.8"),
    ("contrast -0.20", "contrast -20 · contrast: -20%"),
    (LEFT, "contrast 20 · contrast 50% · increase contrast by 1.5 · contrast · more or less contrast"),
    (LEFT, "increase contrast to 80%"),
    ("scale 50%", "resize to 50% · 把图片缩小一半 · shrink it by half · half size · make it 50% smaller"),
    ("scale 50%", "make it half as big"),
    ("scale 50%", "reduce the size by 50% · 缩小到50% · 尺寸缩小一半 · scale by 0.5"),
    ("scale 50%", "scale it down by 50% · 缩小为原来的一半"),
    ("scale 200%", "resize to 200% · enlarge it 2x · double the size · make it twice as big · 放大两倍"),
    ("scale 200%", "放大到200% · 放大一倍"),
    ("scale 1024x$", "make it 1024 pixels wide · 宽度改为 1024 像素 · width: 1024px"),
    ("scale 1024x$", "resize it to a width of 1024 pixels"),
    ("scale 1024x$", "set the width to 1024 · 把图片宽度调整到1024像素 · make the image 1,024 pixels wide"),
    ("scale 1024x$", "寬度調整為1024像素"),
    ("scale x800$", "make it 800 pixels tall · 高度改为 800 像素 · 800px high"),
    ("scale x800$", "set the height to 800 pixels"),
    ("crop 800x600$", "make it 800 pixels wide and 600 pixels tall · 宽800像素，高600像素"),
    ("crop 800x600$", "resize to 800 by 600 pixels"),
    (LEFT, "make it smaller · 缩小 · resize it · resize to 1024 · shrink to 150% · enlarge to 50%"),
    (LEFT, "make it 0 pixels wide"),
    (LEFT, "make it 99999 pixels wide · resize to 100000% · crop to 50% · half as bright"),
    (LEFT, "upscale the lines by 2x"),
    (LEFT, "reduce the shadows · 减少阴影 · sharpen the zebra · make her cool · remove the red · 去掉黄色"),
    (LEFT, "the red"),
    (LEFT, "brighter and darker · blur and sharpen · warm it up and cool it down"),
    (LEFT, "more contrast and less contrast"),
    (LEFT, "变亮变暗 · 亮一点暗一点 · flip and flip it · brighter or warmer · make it white"),
    (LEFT, "white background"),
    ("brightness [+]", "这张照片很暗，调亮一点 · dark, brighten it"),
    ("brightness [+]", "this is a dark photo, brighten it · 照片很暗"),
    ("brightness [+]", "把有点暗的照片调亮 · dark face, brighten the face · twice as bright"),
    ("brightness [+]", "make it brighter 🙏"),
    ("sharpen [+]", "照片模糊，锐化一下 · 模糊，锐化 · image blurry, fix · blurry image, sharpen"),
    ("contrast -0.50", "contrast 0.5x · reduce contrast to half · halve the contrast · 对比度减半"),
    (LEFT, "dark photo · this is a dark photo · make it half bright · 0.5x brighter"),
    (LEFT, "make the 🌊 brighter · zebra"),
    (LEFT, "brighten zebra with a vignette · sharpen it with a zebra vignette · 红色变蓝色"),
    (LEFT, "grayscale but red"),
    (LEFT, "make it black and white, protect the red · 变成黑白，避开红色"),
    (LEFT, "black and white, sparing her face"),
    (LEFT, "make it brighter and zebra warmer · increase brightness and zebra contrast"),
    (LEFT, "brighten and zebra the photo"),
]  # fmt: skip

MASKED = [
    ("fill #ffffff", "make the background white · 把背景换成白色 · change the background to white"),
    ("fill #ffffff", "white background"),
    ("fill #ffffff", "give it a white background · replace the background with white · background: white"),
    ("fill #ffffff", "白色背景 · make it white"),
    ("fill #2f6fde", "make the background blue · 背景变成蓝色 · fill it with blue"),
    (LEFT, "remove noise · remove the red eye · remove the shadows · remove wrinkles · 去除红眼"),
    (LEFT, "去除阴影 · 去皱纹"),
    (LEFT, "remove the background · 去除背景 · reduce noise · remove the glare · remove the skin · 去雾"),
    (LEFT, "remove the color cast"),
    (LEFT, "make the white dress white · make it a bit white · rotate the bottle · resize to 50%"),
    (LEFT, "宽度改为 1024 像素"),
    ("erase", "remove the logo and the text · 去掉文字和水印"),
    ("erase", "remove the text on the shirt · 去掉衣服上的污渍"),
    ("fill #000000", "make the white background black · 把白色背景换成黑色 · make the background black"),
    (LEFT, "make it gray · make the shirt black · remove the reflection in the glasses · 去掉帽子的阴影"),
    ("erase", "remove the logo · 去除水印 · delete the person · erase the text from the photo"),
    ("erase", "把帽子去掉"),
    ("tint [+]0.75 #2f6fde", "make the dress blue · change the color of the dress to blue"),
    ("tint [+]0.75 #2f6fde", "make the red car blue · 把天空变蓝"),
]  # fmt: skip


def _cases(table):
    return [(step, prompt) for step, prompts in table for prompt in prompts.split(" · ")]


def _check(step, prompt, *, masked):
    reading = understand(prompt, masked=masked)
    if step:
        assert len(reading.steps) == 1
        assert re.match(step, told(reading)[0])
    else:
        assert told(reading) == []
        assert reading.unapplied or "fix" in prompt
        assert not reading.content


@pytest.mark.parametrize(("step", "prompt"), _cases(TABLE))
def test_the_words_are_taken_as_they_are_meant(step, prompt):
    """Or the clause is left, and named."""
    _check(step, prompt, masked=False)


@pytest.mark.parametrize(("step", "prompt"), _cases(MASKED))
def test_with_a_mask_too(step, prompt):
    """What is no thing is not erased, and white is white."""
    _check(step, prompt, masked=True)


@pytest.mark.parametrize(
    ("prompt", "steps"),
    [
        ("brighten the skin and sharpen the photo", ["brightness +0.30 skin", "sharpen +0.50"]),
        ("make her skin lighter, warmer", ["brightness +0.30 skin", "warmth +0.35 skin"]),
        ("raise contrast by 10% and saturation by 5%", ["contrast +0.10", "saturation +0.05"]),
        ("no blur, sharpening", []),
        ("don't blur it or sharpen it", []),
        ("make the skin brighter, keep everything else the same", ["brightness +0.30 skin"]),
        ("turn this into a black and white photo", ["grayscale +1.00"]),
        ("make it look like an old photo", ["sepia +1.00"]),
        ("the colors are too vivid", ["saturation -0.35"]),
        ("this old photo is too dark", ["brightness +0.30"]),
        ("1) brighter 2) warmer 3) rotate by 3 degrees", ["brightness +0.30", "warmth +0.35", "rotate 3"]),
        ("rotate by 1. Brighter", ["rotate 1", "brightness +0.30"]),
    ],
)  # fmt: skip
def test_what_belongs_together(prompt, steps):
    """Lists, descriptions and what is to stay."""
    reading = understand(prompt, masked=False)
    assert told(reading) == steps
    assert reading.unapplied == ()


def test_an_exception_is_named_with_what_it_forbids():
    """The caller reads why a clause that was understood is not done."""
    reading = understand("make it black and white, but keep the red", masked=False)
    assert reading.warnings("local/basic") == (
        'The clause "make it black and white" was not applied: '
        "local/basic cannot keep what another clause wants to stay.",
        'The clause "keep the red" was not applied: local/basic cannot do that.',
    )
