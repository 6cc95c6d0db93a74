"""The command ``imageedit-server``."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from imageedit_server.bootstrap import serve
from imageedit_server.providers.catalog import ModelClash
from imageedit_server.rpc.server import CannotListen as CannotListenGrpc
from imageedit_server.settings import SettingsError, settings_from_environment
from imageedit_server.store.sqlite_file import StoreRefused
from imageedit_server.web.server import CannotListen as CannotListenHttp

EXIT_CANNOT_START = 2

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def imageedit_server() -> None:
    """The image-editing gateway."""


@app.command("serve")
def serve_command(
    config: Annotated[Path | None, typer.Option(help="TOML file: see docs/settings.md.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where gRPC listens.")] = None,
    http_listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where health and callbacks listen.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where tasks and images are kept.")] = None,
) -> None:
    """Serve until SIGTERM. Prints one line when ready; logs go to stderr."""
    given = {"listen": listen, "http_listen": http_listen, "data_dir": data_dir}
    overrides: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        settings = settings_from_environment(config, overrides)
        with asyncio.Runner() as runner:
            runner.run(serve(settings, _announce))
    except (SettingsError, StoreRefused, ModelClash, CannotListenGrpc, CannotListenHttp) as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot use {error.filename}: {error.strerror}")


def _refuse(sentence: str) -> NoReturn:
    typer.echo(f"imageedit-server: {sentence}", err=True)
    raise typer.Exit(EXIT_CANNOT_START) from None


def _announce(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    """Run the command."""
    app()
