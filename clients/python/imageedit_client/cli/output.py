"""The two streams: stdout carries results, stderr everything that is said about them.

All that is printed goes through here, through `shown` or into JSON, for hardly any of it is ours alone.
"""

import json
import os
import sys
from pathlib import Path

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from .text import shown


class Misuse(typer.BadParameter):
    """What was typed cannot be done: a usage error, which may repeat what was typed or pasted."""

    def __init__(self, message: str, option: str = "") -> None:
        super().__init__(shown(message), param_hint=f"'{option}'" if option else None)


def note(sentence: str) -> None:
    """Says something to the person, on stderr."""
    tell(f"imageedit: {sentence}")


def tell(*lines: str) -> None:
    """Says lines to the person, on stderr."""
    for line in lines:
        typer.echo(shown(line), err=True)


def put(*lines: str) -> None:
    """Prints lines of a result, on stdout."""
    for line in lines:
        typer.echo(shown(line))


def put_path(path: Path, *, aside: bool = False) -> None:
    """Prints where a file is, on stderr if `aside`; for whatever is no terminal in the bytes that open it."""
    stream = sys.stderr if aside else sys.stdout
    typer.echo(shown(str(path)) if stream.isatty() else os.fsencode(path), err=aside)


def put_json(message: Message) -> None:
    """Prints the proto's own JSON, in ASCII on one line of stdout."""
    text = json.dumps(MessageToDict(message), separators=(",", ":"))
    typer.echo(text.replace("\x7f", "\\u007f"))  # the one control that JSON lets stand
