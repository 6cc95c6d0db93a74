"""Whoever looks at the demo's pictures sees what each of them is."""

from pathlib import Path

from PIL import Image

from tests.demo.sheet import CAPTION_HEIGHT, GAP, HEIGHT, side_by_side

SIDE = 40


def test_every_picture_has_its_caption_beneath_it_and_all_have_the_footer(tmp_path: Path) -> None:
    """Ink under the one that has words, none under the one that has none."""
    for name in ("one", "two"):
        Image.new("RGB", (SIDE, SIDE), "red").save(tmp_path / f"{name}.png")
    pictures = {"page 1": tmp_path / "one.png", "": tmp_path / "two.png"}
    for footer in ("", "doubles"):
        with Image.open(side_by_side(pictures, tmp_path / "sheet.png", footer)) as sheet:
            captions = sheet.crop((0, HEIGHT, sheet.width, HEIGHT + CAPTION_HEIGHT))
            assert has_ink(captions.crop((0, 0, HEIGHT, CAPTION_HEIGHT)))
            assert not has_ink(captions.crop((HEIGHT + GAP, 0, sheet.width, CAPTION_HEIGHT)))
            assert has_ink(sheet.crop((0, HEIGHT + CAPTION_HEIGHT, sheet.width, sheet.height))) is bool(
                footer
            )


def has_ink(part: Image.Image) -> bool:
    return part.height > 0 and part.convert("L").getextrema() != (255, 255)
