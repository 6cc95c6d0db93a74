"""Every measurement runs, on a scale that takes a second or two, and brings figures that can be told.

No goal is held here: what a busy machine measures proves nothing.
"""

import io
import json
import math
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from PIL import Image, ImageColor

from tests.bench.__main__ import MEASUREMENTS, SERVER, tell
from tests.bench.bench import SHORT, Bench
from tests.bench.figures import Figure, Goal, percentile
from tests.bench.peers.comparing import Turn
from tests.bench.peers.contenders import LeftOut, proven, vendor
from tests.bench.peers.measurement import measure
from tests.bench.peers.proxies import peers
from tests.bench.peers.table import contenders_table
from tests.bench.pictures import Picture, another, jpeg_photograph, png_photograph, small_noise
from tests.bench.plot import MET, MISSED, ROW, TOP, _x, plot


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A run on the smallest scale."""
    return Bench(folder=tmp_path, scale=SHORT, server=SERVER, say=lambda line: print(line, file=sys.stderr))


@pytest.mark.parametrize("name", MEASUREMENTS)
async def test_measurement_gives_finite_figures(name: str, bench: Bench):
    figures = await MEASUREMENTS[name](bench)
    assert figures
    for figure in figures:
        assert len(figure.ours) == SHORT.rounds
        assert len(figure.baseline) in {0, SHORT.rounds}
        assert all(math.isfinite(value) for value in (*figure.ours, *figure.baseline, *figure.results))


async def test_peers_are_measured_where_no_proxy_is_installed(bench: Bench, tmp_path: Path):
    """It says who is left out, and why; we and the vendor alone remain."""
    said: list[str] = []
    away = peers(tmp_path / "litellm", tmp_path / "start-server.js")
    measured = await measure(replace(bench, say=said.append), away)
    assert [f"{match.picture.key}, {match.callers}: {match.contender}" for match in measured.matches] == [
        f"{key}, {callers}: {contender}"
        for key in ("noise", "png", "jpeg")
        for callers in SHORT.peer_callers
        for contender in ("imageedit", "the vendor alone")
    ]
    for match in measured.matches:
        assert all(value > 0 for field in fields(Turn) for value in match.values(field.name))
    assert [line for line in said if "is left out: there is no" in line] == [said[0], said[1]]
    tell(measured.figures, tmp_path, "peers", before=contenders_table(measured.matches))
    assert [figure.name for figure in measured.figures] == [
        "edit of 27 KB, p50, 1 caller",
        "resident after work on photographs, all processes",
        "resident after work on photographs, all processes, shared pages once",
    ]


async def test_refused_edit_leaves_its_contender_out(bench: Bench):
    """A vendor that knows no such picture ends the connection."""
    picture = small_noise()
    with pytest.raises(LeftOut, match="no edit goes through it"):
        async with vendor(bench, [picture]) as alone:
            await proven(alone, [replace(picture, key="unknown")])


def rate(ours: tuple[float, ...], baseline: tuple[float, ...], goal: Goal | None = None) -> Figure:
    return Figure(
        measurement="accepts", name="64 callers", unit="edits/s", ours=ours, baseline=baseline, goal=goal
    )


def test_rounds_are_compared_with_their_neighbours():
    """A machine that slows down between rounds changes no ratio."""
    figure = rate((100.0, 10.0, 1.0), (200.0, 20.0, 2.0), Goal(bound=0.5))
    assert figure.results == (0.5, 0.5, 0.5)
    assert figure.met


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal(bound=0.6), False),
        (Goal(bound=0.5), True),
        (Goal(bound=0.4, at_most=True), False),
        (Goal(bound=0.5, at_most=True), True),
    ],
)
def test_goal_is_held_against_the_median(goal: Goal, met: bool):
    assert rate((1.0, 5.0, 9.0), (10.0, 10.0, 10.0), goal).met is met


def test_absolute_figure_is_held_against_its_own_value():
    figure = Figure(measurement="start", name="ready", unit="s", ours=(2.0,), baseline=(0.5,), absolute=True)
    assert figure.results == (2.0,)


@pytest.mark.parametrize(
    ("ours", "goal", "verdict"),
    [
        ((0.9, 1.0, 1.2), None, "tie"),
        ((0.9, 1.0, 1.2), Goal(bound=0.7), "met, tie"),
        ((0.9, 1.0, 1.2), Goal(bound=1.9), "missed, tie"),
        ((1.1, 1.2, 1.3), None, ""),
        ((1.0, 1.0, 1.0), Goal(bound=1.9), "missed"),
    ],
)
def test_ratio_whose_spread_crosses_one_is_a_tie(ours: tuple[float, ...], goal: Goal | None, verdict: str):
    assert rate(ours, (1.0, 1.0, 1.0), goal).verdict == verdict


@pytest.mark.parametrize("made", [png_photograph(64), jpeg_photograph(64)], ids=["png", "jpeg"])
def test_another_picture_has_other_bytes_and_the_same_pixels(made: Picture):
    contents = {made.content, another(made, 1), another(made, 2)}
    assert len(contents) == 3
    assert len({Image.open(io.BytesIO(content)).tobytes() for content in contents}) == 1


def test_value_without_a_baseline_is_no_tie():
    assert rate((0.9, 1.1), ()).verdict == ""


def test_percentile_is_a_value_that_was_measured():
    assert [percentile([3.0, 1.0, 2.0, 4.0], percent) for percent in (0, 50, 75, 99, 100)] == [1, 2, 3, 4, 4]


def test_figures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tell([rate((1.0, 2.0), (4.0, 4.0), Goal(bound=0.6))], tmp_path, "figures")
    assert "64 callers" in capsys.readouterr().out
    (told,) = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert (told["ours"], told["result"], told["met"]) == ([1.0, 2.0], 0.375, False)
    with Image.open(tmp_path / "figures.png") as picture:
        assert len(picture.getcolors(1 << 20) or ()) > 2


def test_bars_end_where_the_score_is(tmp_path: Path):
    """What is better than its goal is drawn to the right of the line, what is worse to the left."""
    better, worse = rate((2.0,), (2.0,), Goal(bound=0.5)), rate((1.0,), (4.0,), Goal(bound=0.5))
    picture = plot([better, worse])
    goal, rows = _x(1), (TOP + ROW // 4, TOP + ROW + ROW // 4)
    colours = [[picture.getpixel((round(goal) + side * 20, y)) for side in (-1, 1)] for y in rows]
    met, missed, white = ImageColor.getrgb(MET), ImageColor.getrgb(MISSED), (255, 255, 255)
    assert colours == [[white, met], [missed, white]]
