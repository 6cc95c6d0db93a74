"""Many of one thing: a table on a terminal, tab-separated lines elsewhere, JSON when asked for."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .output import proto_json
from .session import Session

M = TypeVar("M", bound=Message)


def table(
    session: Session, heads: Sequence[str], row: Callable[[M], Sequence[str]], messages: Iterable[M]
) -> None:
    """Prints one row a message."""
    if session.json or not sys.stdout.isatty():
        for each in messages:
            typer.echo(proto_json(each) if session.json else "\t".join(row(each)))
    else:
        _draw(heads, [row(each) for each in messages])


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    # The first column is what gets copied, so it is never cut; the last is prose and gives way.
    drawn.add_column(heads[0], no_wrap=True, min_width=max((len(row[0]) for row in rows), default=0))
    for head in heads[1:]:
        drawn.add_column(head, no_wrap=head != heads[-1])
    for row in rows:
        drawn.add_row(*row[:-1], Text(row[-1], no_wrap=True, overflow="ellipsis"))
    Console(markup=False, highlight=False).print(drawn)
