"""Many of one thing: a table with aligned columns, or JSON when asked for."""

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import Message
from rich.cells import cell_len, set_cell_size

from .output import put, put_json
from .session import Session
from .text import shown

M = TypeVar("M", bound=Message)
Row = Sequence[str]
GAP = "  "
FEWEST_CELLS = 10


def table(
    session: Session, heads: Row, row: Callable[[M], Row], messages: Iterable[M], *, cut: bool = False
) -> None:
    """Prints a row a message under the heads, whole and on one line for whatever is no terminal.

    On a terminal that is too narrow, `cut` shortens the last column; else a row becomes a paragraph.
    """
    if session.json:
        for each in messages:
            put_json(each)
        return
    rows = [heads, *(tuple(map(shown, row(each))) for each in messages)]
    put(*(_fitted(rows, cut) if sys.stdout.isatty() else _aligned(rows)))


def _aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Columns as wide as their widest cell; Chinese characters take two places each."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True))
        yield GAP.join(cells).rstrip()


def _fitted(rows: Sequence[Row], cut: bool) -> Iterator[str]:
    room = shutil.get_terminal_size().columns
    lines = list(_aligned(rows))
    over = max(map(cell_len, lines)) - room
    if over <= 0:
        yield from lines
    elif cut:
        widest = max(cell_len(row[-1]) for row in rows)
        yield from _aligned([(*row[:-1], _shortened(row[-1], widest - over)) for row in rows])
    else:
        yield from _paragraphs(rows, room)


def _shortened(cell: str, room: int) -> str:
    room = max(room, FEWEST_CELLS)
    return cell if cell_len(cell) <= room else set_cell_size(cell, room - 1).rstrip() + "…"


def _paragraphs(rows: Sequence[Row], room: int) -> Iterator[str]:
    heads, *others = rows
    for row in others:
        facts = (f"{head.lower()} {cell}" for head, cell in zip(heads[1:], row[1:], strict=True) if cell)
        yield row[0]
        yield from textwrap.wrap("; ".join(facts), room, initial_indent=GAP, subsequent_indent=GAP)
