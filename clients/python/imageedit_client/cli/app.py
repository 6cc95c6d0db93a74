"""The command line: which commands there are."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

import imageedit_client

from . import creating, images, tasks
from .groups import Group, with_signature
from .options import Shared

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def tell_version(asked: bool) -> None:
    """Print the version and end, before anything else is looked at."""
    if asked:
        typer.echo(f"imageedit {imageedit_client.__version__}")
        raise typer.Exit


@dataclass(frozen=True, kw_only=True)
class About(Group):
    """What the command says of itself."""

    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=tell_version, is_eager=True, help="Print the version and exit"
        ),
    ] = False


def remember(context: typer.Context, **arguments: Any) -> None:
    """Edit pictures with the models of many vendors, through an imageedit server."""
    context.obj = Shared.taken_from(arguments)


app.callback()(with_signature(remember, *Shared.parameters(), *About.parameters()))
app.command("edit")(creating.edit)
app.command("model-edit")(creating.model_edit)
app.command("default-model")(creating.default_model)
app.command("watch")(tasks.watch)
app.command("get")(tasks.get)
app.command("cancel")(tasks.cancel)
app.command("delete")(tasks.delete)
app.command("list")(tasks.list_tasks)
app.command("models")(images.models)
app.command("upload")(images.upload)
app.command("download")(images.download)
app.command("delete-image")(images.delete_image)
