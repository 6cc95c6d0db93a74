"""Masks: transparent is edited, opaque stays, and what stays is identical to the last bit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imageedit_server.providers.local.edits import edit
from imageedit_server.providers.local.language.instructions import understand
from imageedit_server.providers.local.plan import (
    GEOMETRY,
    Operation,
    Originals,
    PictureError,
    Plan,
    Region,
    Step,
)
from tests.providers.local.support import (
    after,
    brightness,
    edited,
    mask_file,
    pasted,
    photo,
    picture_of,
    pixel,
)

SIZE = (512, 600)
BADGE = (74, 480, 172, 521)
SMALL = (37, 29)

regions = st.sampled_from([None, *Region])
operations = st.sampled_from([operation for operation in Operation if operation not in GEOMETRY])
steps = st.builds(
    Step,
    operation=operations,
    amount=st.floats(0.01, 1.0),
    color=st.tuples(*[st.integers(0, 255)] * 3),
    region=regions,
)


@given(
    modes=st.sampled_from(["RGB", "RGBA", "L", "LA", "P", "1"]),
    chosen=st.lists(steps, min_size=1, max_size=3),
    alphas=st.binary(min_size=SMALL[0] * SMALL[1], max_size=SMALL[0] * SMALL[1]),
    hard=st.booleans(),
)
@settings(max_examples=60)
def test_outside_the_mask_every_pixel_is_identical(tmp_path, modes, chosen, alphas, hard):
    """For any mask, operation and kind of picture (DESIGN §7)."""
    image = photo().resize(SMALL).convert(modes)
    if image.mode in ("RGBA", "LA"):
        image.putalpha(Image.frombytes("L", SMALL, alphas[::-1]))
    image.save(tmp_path / "image.png")
    alpha = Image.frombytes("L", SMALL, alphas)
    if hard:
        alpha = alpha.point([0] * 128 + [255] * 128)
    mask = mask_file(tmp_path / "mask.png", SMALL, alpha)
    originals = Originals(image=(tmp_path / "image.png").read_bytes(), mask=mask.read_bytes())
    result = edit(originals, Plan(steps=tuple(chosen), size="auto"))
    kept = alpha.point([0] * 255 + [255])
    _assert_same_where(kept, image.convert("RGBA"), picture_of(result.content).convert("RGBA"))


def _assert_same_where(kept: Image.Image, before: Image.Image, after_: Image.Image) -> None:
    assert before.size == after_.size
    for one, other in zip(before.split(), after_.split(), strict=True):
        assert ImageChops.multiply(ImageChops.difference(one, other), kept).getbbox() is None


def test_half_transparent_is_half_edited(tmp_path):
    alpha = pasted(SIZE, {(0, 0, 100, 600): 0, (100, 0, 200, 600): 128})
    image = after("fill it with white", mask=mask_file(tmp_path / "mask.png", SIZE, alpha))
    before = photo()
    assert pixel(image, (50, 300)) == (255, 255, 255)
    for new, old in zip(pixel(image, (150, 300)), pixel(before, (150, 300)), strict=True):
        assert abs(new - (old + 255) / 2) <= 1
    assert pixel(image, (300, 300)) == pixel(before, (300, 300))


@pytest.mark.parametrize("prompt", ["make the background white", "把背景换成白色", "make it white"])
def test_white_is_white(tmp_path, prompt):
    """A background that is made white is not tinted."""
    image = after(prompt, mask=mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {(0, 0, 100, 600): 0})))
    assert image.crop((0, 0, 100, 600)).getextrema() == ((255, 255),) * 3


def test_the_result_is_png_of_the_same_size_and_mode(tmp_path):
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {BADGE: 0}))
    image = after("invert it", mask=mask)
    assert (image.format, image.mode, image.size) == ("PNG", "RGB", SIZE)


@pytest.mark.parametrize("hole", [BADGE, (318, 482, 458, 531), (226, 570, 266, 599), (440, 100, 500, 160)])
def test_erase_leaves_nothing_of_what_was_there(tmp_path, hole):
    """The hole looks like its surroundings: of their brightness, and without edges of its own."""
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {hole: 0}))
    image = after("erase it", mask=mask)
    left, top, right, _ = hole
    around = (max(0, left - 15), max(0, top - 15), min(SIZE[0], right + 15), top)
    assert abs(brightness(image, hole) - brightness(photo(), around)) < 12
    edges = image.convert("L").filter(ImageFilter.FIND_EDGES)
    assert brightness(edges, hole) < brightness(edges, around) + 12


def test_erase_fills_separate_holes_each_from_its_own_surroundings(tmp_path):
    sky, uniform = (440, 100, 500, 160), BADGE
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {sky: 0, uniform: 0}))
    image = after("erase", mask=mask)
    assert brightness(image, uniform) < 40
    assert brightness(image, sky) > 90


@pytest.mark.parametrize("hole", [(0, 0, 512, 600), (0, 0, 512, 300), (0, 0, 1, 1), (511, 0, 512, 600)])
def test_erase_copes_with_holes_at_the_borders_and_everywhere(tmp_path, hole):
    """Where nothing is known, something plain."""
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {hole: 0}))
    assert after("erase", mask=mask).size == SIZE


def test_erase_copes_with_a_checkered_mask(tmp_path):
    """Hundreds of holes cost no more than a few."""
    alpha = Image.new("L", SIZE, 255)
    draw = ImageDraw.Draw(alpha)
    for x in range(0, 512, 16):
        for y in range(0, 600, 16):
            draw.rectangle((x, y, x + 6, y + 6), fill=0)
    image = after("erase", mask=mask_file(tmp_path / "mask.png", SIZE, alpha))
    assert abs(brightness(image) - brightness(photo())) < 5


def test_erase_in_a_cut_out_keeps_its_transparency(tmp_path):
    """A hole in the transparent part stays transparent."""
    cut = photo().convert("RGBA")
    cut.putalpha(pasted(SIZE, {(300, 0, 512, 600): 0}))
    cut.save(tmp_path / "cut.png")
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {(400, 300, 450, 350): 0}))
    alpha = after("erase", tmp_path / "cut.png", mask=mask).getchannel("A")
    assert alpha.crop((400, 300, 450, 350)).getextrema() == (0, 0)


def test_size_comes_after_the_mask(tmp_path):
    """A ratio crops and changes no pixel; pixels of an explicit size are scaled."""
    mask = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {BADGE: 0}))
    cropped = after("invert it", mask=mask, size="1:1")
    assert cropped.size == (512, 512)
    kept = pasted(SIZE, {BADGE: 0}).crop((0, 44, 512, 556))
    _assert_same_where(kept, photo().crop((0, 44, 512, 556)), cropped)
    assert after("invert it", mask=mask, size="300x200").size == (300, 200)


def test_masks_are_turned_upright_like_pictures(tmp_path):
    """EXIF orientation is applied to both before anything else."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    upright = mask_file(tmp_path / "upright.png", SIZE, pasted(SIZE, {BADGE: 0}))
    with Image.open(upright) as mask:
        mask.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned_mask.png", exif=exif)
    expected = edited("invert it", tmp_path / "turned.png", mask=upright).content
    assert edited("invert it", tmp_path / "turned.png", mask=tmp_path / "turned_mask.png").content == expected


def test_a_mask_of_another_size_is_refused(tmp_path):
    mask = mask_file(tmp_path / "mask.png", SMALL, Image.new("L", SMALL))
    with pytest.raises(PictureError, match="The mask is 37x29, the image 512x600"):
        edited("invert it", mask=mask)


def test_webp_masks_work_too(tmp_path):
    mask = Image.new("RGBA", SIZE)
    mask.putalpha(pasted(SIZE, {BADGE: 0}))
    mask.save(tmp_path / "mask.webp", lossless=True, exact=True)
    png = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {BADGE: 0}))
    assert edited("invert", mask=tmp_path / "mask.webp").content == edited("invert", mask=png).content


def test_skin_inside_a_mask(tmp_path):
    """Both hold: only skin, and only under the mask."""
    half = mask_file(tmp_path / "mask.png", SIZE, pasted(SIZE, {(0, 0, 268, 600): 0}))
    image = after("brighten the skin", mask=half)
    assert brightness(image, (215, 140, 260, 160)) > brightness(photo(), (215, 140, 260, 160)) + 4
    assert image.crop((268, 0, 512, 600)).tobytes() == photo().crop((268, 0, 512, 600)).tobytes()


def test_understood_steps_of_a_masked_prompt_never_move_pixels():
    reading = understand("rotate 90, flip, crop to 1:1, brighter", masked=True)
    assert [step.operation for step in reading.steps] == [Operation.BRIGHTNESS]
