"""A sheet of pictures side by side, each with what it is beneath it."""

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

HEIGHT = 480
GAP = 12
FONT_SIZE = 20
CAPTION_HEIGHT = 60
INK = "black"


def side_by_side(pictures: Mapping[str, Path], path: Path, footer: str = "") -> Path:
    """Write pictures, by their captions, into one PNG; ``footer`` is said of all. Return its path."""
    fitted = {caption: _fit(picture) for caption, picture in pictures.items()}
    width = sum(picture.width for picture in fitted.values()) + GAP * (len(fitted) - 1)
    footer_height = 2 * FONT_SIZE if footer else 0
    sheet = Image.new("RGB", (width, HEIGHT + CAPTION_HEIGHT + footer_height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    x = 0
    for caption, picture in fitted.items():
        sheet.paste(picture, (x, 0))
        draw.multiline_text((x + 4, HEIGHT + 4), caption, INK, font)
        x += picture.width + GAP
    draw.text((4, HEIGHT + CAPTION_HEIGHT + 4), footer, INK, font)
    sheet.save(path)
    return path


def _fit(path: Path) -> Image.Image:
    """Read a picture at the height of the sheet."""
    with Image.open(path) as picture:
        width = round(picture.width * HEIGHT / picture.height)
        return picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS)
