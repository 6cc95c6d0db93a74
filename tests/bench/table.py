"""The table of the figures."""

from collections.abc import Iterable
from statistics import median

from rich.table import Table

from tests.bench.figures import Figure

VERDICT = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}


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
            _short(median(figure.ours)),
            _short(median(figure.baseline)) if figure.baseline else "",
            _short(figure.result),
            f"{_short(min(figure.results))}–{_short(max(figure.results))}",
            str(figure.goal or ""),
            VERDICT[figure.met],
        )
    return laid


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
