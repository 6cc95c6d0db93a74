"""The options that every command takes, before or after its name, and what the environment adds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from imageedit_client.connection import DEFAULT_ADDRESS, Connection

from .groups import Group

PATIENCE_SECONDS = 60.0


def _option(*names: str, **words: Any) -> Any:
    return typer.Option(*names, rich_help_panel="Server and output", **words)


@dataclass(frozen=True, kw_only=True)
class Shared(Group):
    """The shared options as they were given; None where they were not."""

    address: Annotated[
        str | None,
        _option(metavar="HOST:PORT", help=f"The server (env IMAGEEDIT_ADDRESS; else {DEFAULT_ADDRESS})"),
    ] = None
    tls: Annotated[
        bool | None, _option("--tls", metavar="", help="Use TLS with the system's authorities")
    ] = None
    ca_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="Use TLS and trust this PEM file (env IMAGEEDIT_CA_FILE)"),
    ] = None
    cert_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="Use TLS and show this certificate, for a server that asks for one"),
    ] = None
    key_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="The key of the certificate; not the API key"),
    ] = None
    api_key_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="File with the API key (else env IMAGEEDIT_API_KEY)"),
    ] = None
    patience: Annotated[
        float | None,
        _option(
            metavar="SECONDS",
            min=0.1,
            help=f"How long to try a server that does not answer (else {PATIENCE_SECONDS:g})",
        ),
    ] = None
    json: Annotated[
        bool | None, _option("--json", metavar="", help="Print the proto's JSON, one object a line")
    ] = None

    def over(self, outer: "Shared") -> "Shared":
        """These options, and the outer ones where these are not given."""
        mine = {name: value for name, value in vars(self).items() if value is not None}
        return Shared(**{**vars(outer), **mine})

    def where(self) -> str:
        """HOST:PORT of the server."""
        return self.address or os.environ.get("IMAGEEDIT_ADDRESS") or DEFAULT_ADDRESS

    def connection(self) -> Connection:
        """How to reach the server. Raises OSError for an unreadable key file, ValueError for a bad key."""
        ca_file = self.ca_file or os.environ.get("IMAGEEDIT_CA_FILE")
        return Connection(
            address=self.where(),
            tls=bool(self.tls),
            ca_file=Path(ca_file) if ca_file else None,
            cert_file=self.cert_file,
            key_file=self.key_file,
            api_key=self._api_key(),
        )

    def _api_key(self) -> str | None:
        if self.api_key_file is not None:
            return self.api_key_file.read_text("utf-8-sig").strip()
        return os.environ.get("IMAGEEDIT_API_KEY") or None
