"""What every command shares: the client, where results and notes go, and the exit codes."""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer
from google.protobuf.message import Message

from imageedit_client.client import Client
from imageedit_client.connection import UnencryptedKeyWarning
from imageedit_client.errors import ImageEditError
from imageedit_client.retry import Pace

from . import exits
from .groups import expanded, folded, with_signature
from .options import PATIENCE_SECONDS, Shared
from .output import note, put, put_json

# A restart is bridged without a word; only a longer silence is worth one.
NEWS_SECONDS = 0.3


class Session:
    """One run of a command: a client, and how its results are printed."""

    def __init__(self, shared: Shared) -> None:
        self.json = bool(shared.json)
        self._shared = shared
        self._patience = shared.patience or PATIENCE_SECONDS
        self._troubled = False
        connection = shared.connection()
        if connection.shows_key():
            note(f"the API key travels unencrypted to {connection.address}; use --tls or --ca-file")
            warnings.simplefilter("ignore", UnencryptedKeyWarning)
        pace = Pace(call_seconds=self._patience, patience_seconds=self._patience, on_retry=self._say_trouble)
        self.client = Client(
            connection.address,
            tls=connection.tls,
            ca_file=connection.ca_file,
            cert_file=connection.cert_file,
            key_file=connection.key_file,
            api_key=connection.api_key,
            pace=pace,
        )

    def show(self, message: Message, *lines: str) -> None:
        """Prints a result: the proto's JSON when asked for, else the lines."""
        if self.json:
            put_json(message)
        else:
            put(*lines)

    def hint(self, command: str) -> str:
        """A command line that reaches the same server."""
        address = f"--address {self._shared.address} " if self._shared.address else ""
        return f"imageedit {address}{command}"

    def _say_trouble(self, error: ImageEditError, delay: float) -> None:
        if delay >= NEWS_SECONDS and not self._troubled:
            self._troubled = True
            note(f"{exits.sentence(error, self._shared.where())}; trying for {self._patience:g} s")


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Gives a command the shared options, a Session as its first argument, and exit codes for errors."""
    own = list(inspect.signature(function).parameters.values())[1:]

    @wraps(function)
    def run(context: typer.Context, **arguments: Any) -> None:
        shared = Shared.taken_from(arguments).over(context.obj)
        with exits.sentences(shared.where()):
            session = Session(shared)
            with session.client:
                function(session, **folded(own, arguments))

    return with_signature(run, *(option for each in own for option in expanded(each)), *Shared.parameters())
