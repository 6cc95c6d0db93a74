"""The command line: which commands there are."""

from typing import Any

import typer

from . import creating, images, tasks
from .groups import with_signature
from .options import Shared

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def remember(context: typer.Context, **arguments: Any) -> None:
    """Edit pictures with the models of many vendors, through an imageedit server."""
    context.obj = Shared.taken_from(arguments)


app.callback()(with_signature(remember, *Shared.parameters()))
app.command("edit")(creating.edit)
app.command("model-edit")(creating.model_edit)
app.command("default-model")(creating.default_model)
app.command("watch")(tasks.watch)
app.command("get")(tasks.get)
app.command("cancel")(tasks.cancel)
app.command("list")(tasks.list_tasks)
app.command("models")(images.models)
app.command("upload")(images.upload)
app.command("download")(images.download)
