"""The commands that start a task and follow it to its end: edit, model-edit, default-model."""

from typing import Annotated, Literal

import typer

from imageedit.v1 import task_pb2
from imageedit_client.requests import EditSettings

from . import pictures, values
from .creation import Creation, ModelOptions, finish
from .session import Session, command

Photo = Annotated[str, typer.Argument(metavar="PHOTO", help=pictures.HELP)]


@command
def edit(
    session: Session,
    photo: Photo,
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="What to do, in words")],
    *,
    mask: Annotated[
        str | None, typer.Option(metavar="PICTURE", help="Where to edit: transparent pixels are edited")
    ] = None,
    n: Annotated[
        int, typer.Option("-n", metavar="N", min=0, help="How many results", show_default=False)
    ] = 0,
    image: Annotated[
        list[str] | None, typer.Option(metavar="PICTURE", help="One more picture to edit; repeatable")
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="PICTURE", help="A picture that guides the edit; repeatable")
    ] = None,
    creation: Creation,
    family: ModelOptions,
) -> None:
    """Edit a photo: upload it, follow the edit, save the results, print their paths."""
    images = [pictures.picture(each) for each in (photo, *(image or ()))]
    references = [pictures.picture(each) for each in reference or ()]
    over = pictures.picture(mask) if mask else None
    destination = creation.destination(images[0], "edited", [*images, *references, over])
    settings: EditSettings = {**creation.settings(), **family.settings(), "n": n}
    task = session.client.edit_image(prompt, images, mask=over, reference_images=references, **settings)
    finish(session, task, creation, destination)


@command
def model_edit(
    session: Session,
    base_task_id: Annotated[
        str, typer.Argument(metavar="BASE_TASK_ID", help="The task that made the default model")
    ],
    instructions: Annotated[str, typer.Argument(metavar="INSTRUCTIONS", help="What to change, in words")],
    creation: Creation,
) -> None:
    """Edit a default model by instructions, follow, save the result, print its path."""
    destination = creation.destination((base_task_id, 0), "edited", [])
    task = session.client.create_model_edit(base_task_id, instructions, **creation.settings(named=True))
    finish(session, task, creation, destination)


@command
def default_model(
    session: Session,
    photo: Photo,
    *,
    angle: Annotated[Literal["front", "side", "back"], typer.Option(help="The view that it shows")] = "front",
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="gender, height_cm, weight_kg, age, skin_color, body_type"),
    ] = None,
    creation: Creation,
) -> None:
    """Make a default model from a photo and print its task id, which model-edit takes."""
    image = pictures.picture(photo)
    destination = creation.destination(image, "model", [image])
    person = values.fields(task_pb2.BodyProfile(), profile or (), "--profile")
    settings = creation.settings(named=True)
    task = session.client.create_default_model(image, angle=angle, body_profile=person, **settings)
    # Without a model the result is the photo itself, which nobody needs a second time.
    wanted = destination if creation.model or creation.out else None
    finish(session, task, creation, wanted)
