"""The plot: how far each figure is from its goal, drawn with Pillow, which the service brings along."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from tests.bench.figures import Figure

WIDTH = 1400
ROW = 26
LABELS = 560
FIGURES = 270
TOP = 44
DECADES = 1.0
"""The axis goes from a tenth of the goal to ten times the goal."""
INK, FAINT, MET, MISSED = "#222222", "#cccccc", "#2a9d8f", "#e76f51"


def plot(figures: Sequence[Figure]) -> Image.Image:
    """Draw a bar per figure that has a goal: to the right of the line is better than the goal."""
    judged = [figure for figure in figures if figure.goal]
    image = Image.new("RGB", (WIDTH, TOP + ROW * len(judged) + ROW), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    for score in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        x = _x(score)
        draw.line((x, TOP - 8, x, image.height - ROW // 2), fill=INK if score == 1 else FAINT)
        draw.text((x, TOP - 12), "goal" if score == 1 else f"{score:g}x", INK, font, anchor="md")
    for row, figure in enumerate(judged):
        _bar(draw, font, TOP + ROW * row, figure)
    return image


def _bar(
    draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, top: int, figure: Figure
) -> None:
    assert figure.goal is not None
    ends = sorted((_x(1), _x(figure.goal.score(figure.result))))
    spread = sorted(_x(figure.goal.score(result)) for result in figure.results)
    middle = top + ROW // 2
    draw.rectangle((ends[0], top + 5, ends[1], top + ROW - 5), fill=MET if figure.met else MISSED)
    draw.line((spread[0], middle, spread[-1], middle), fill=INK, width=2)
    draw.text((12, middle), f"{figure.measurement}: {figure.name}", INK, font, anchor="lm")
    draw.text((WIDTH - 12, middle), _told(figure), INK, font, anchor="rm")


def _told(figure: Figure) -> str:
    """Put it into words that the font has signs for."""
    unit = "x the baseline" if figure.is_ratio else figure.unit
    assert figure.goal is not None
    bound = f"at {'most' if figure.goal.at_most else 'least'} {figure.goal.bound:g}"
    return f"{figure.result:.3g} {unit} ({bound})"


def _x(score: float) -> float:
    """Where a score is on the logarithmic axis."""
    decades = max(-DECADES, min(math.log10(max(score, 1e-9)), DECADES))
    middle, half = (LABELS + WIDTH - FIGURES) / 2, (WIDTH - FIGURES - LABELS) / 2
    return middle + half * decades / DECADES
