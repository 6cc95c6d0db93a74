"""The two streams: stdout carries results, stderr everything that is said about them."""

import json

import typer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def note(sentence: str) -> None:
    """Says something to the person, on stderr."""
    typer.echo(f"imageedit: {sentence}", err=True)


def proto_json(message: Message) -> str:
    """The proto's own JSON, on one line."""
    return json.dumps(MessageToDict(message), ensure_ascii=False, separators=(",", ":"))
