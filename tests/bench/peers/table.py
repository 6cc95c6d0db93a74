"""The table of the contenders: a line for each, picture by picture."""

from collections.abc import Sequence
from statistics import median

from rich.table import Table

from tests.bench.peers.comparing import Match
from tests.bench.table import short

COLUMNS = {
    "per_second": "edits/s",
    "server_ms": "server, ms/edit",
    "client_ms": "client, ms/edit",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
}


def contenders_table(matches: Sequence[Match]) -> Table:
    """Lay out the medians with the spread over the rounds; ms/edit are processor time."""
    laid = Table("picture", "callers", "", box=None)
    for column in COLUMNS.values():
        laid.add_column(column, justify="right")
    for match in matches:
        cells = [_with_spread(match.values(what)) for what in COLUMNS]
        laid.add_row(match.picture.name, str(match.callers), match.contender, *cells)
    return laid


def _with_spread(values: Sequence[float]) -> str:
    return f"{short(median(values))} ({short(min(values))}–{short(max(values))})"
