"""The table of the figures."""

from collections.abc import Iterable
from statistics import median

from rich.table import Table

from tests.bench.figures import Figure

COLOURS = {True: "green", False: "red", None: "default"}


def table(figures: Iterable[Figure]) -> Table:
    """Lay out what was measured: medians, what counts with its spread over the rounds, and the goal."""
    laid = Table("measurement", "", "unit", box=None)
    for column in ("ours", "baseline", "ratio or value", "spread", "goal"):
        laid.add_column(column, justify="right")
    laid.add_column("")
    for figure in figures:
        laid.add_row(
            figure.measurement,
            figure.name,
            figure.unit,
            short(median(figure.ours)),
            short(median(figure.baseline)) if figure.baseline else "",
            short(figure.result),
            f"{short(min(figure.results))}–{short(max(figure.results))}",
            str(figure.goal or ""),
            f"[{COLOURS[figure.met]}]{figure.verdict}[/]",
        )
    return laid


def short(value: float) -> str:
    """Return it with three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
