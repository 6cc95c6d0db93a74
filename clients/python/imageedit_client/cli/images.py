"""The commands about pictures and models: upload, download, delete-image, models."""

from pathlib import Path
from typing import Annotated

import typer

from imageedit_client.errors import succeeded

from . import words
from .output import put_json, put_path
from .saving import Destination, save
from .session import Session, command
from .tables import table


@command
def upload(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="PNG, JPEG or WebP")],
) -> None:
    """Store pictures and print their image ids."""
    for file in files:
        image = session.client.upload(file)
        session.show(image, image.image_id)


@command
def download(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="ID", help="An image id, or a task id for all its results")],
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="OUT", help="File or folder to save to")
    ] = None,
) -> None:
    """Save an image, or the results of a task, and print the paths."""
    destination = Destination(out=out, name=name)
    destination.check()
    if name.startswith("task_"):
        save(session, succeeded(session.client.get(name)), destination)
        return
    saved = session.client.download_to(name, Path(out or "."))
    if session.json:
        put_json(saved.image)
    else:
        put_path(saved.path)


@command
def delete_image(
    session: Session,
    image_ids: Annotated[list[str], typer.Argument(metavar="IMAGE_ID...", help="As upload and get print")],
) -> None:
    """Erase images that no task needs."""
    for image_id in image_ids:
        session.client.delete_image(image_id)


@command
def models(session: Session) -> None:
    """Print the models that can be used now, with their limits."""
    heads = (
        *("MODEL", "PROVIDER", "FOR", "IMAGES", "MASK", "RESULTS", "OPTIONS"),
        *("IF UNKNOWN", "ENDS", "SIZES"),
    )
    table(session, heads, words.model_row, session.client.list_models())
