"""What the three creating commands share: their options, and what happens when the task exists."""

import getpass
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1.task_pb2 import Task
from imageedit_client.errors import succeeded
from imageedit_client.requests import EditSettings, Options, TaskSettings
from imageedit_client.uploads import ImageInput

from . import pictures, values, words
from .follow import follow
from .groups import Group
from .output import Misuse, note
from .saving import Destination, save
from .session import Session


@dataclass(frozen=True, kw_only=True)
class Creation(Group):
    """The options of a new task."""

    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="The model; see `imageedit models`")
    ] = ""
    size: Annotated[str, typer.Option(metavar="SIZE", help="Such as 1024x1024, 4:3 or auto")] = ""
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="OUT", help="File or folder for the results")
    ] = None
    timeout: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="For the whole task (else 15 minutes)")
    ] = None
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Repeatable")] = None
    user: Annotated[str, typer.Option(metavar="NAME", help="Your own end user, a label")] = ""
    request_id: Annotated[
        str, typer.Option(metavar="KEY", help="Idempotency key: the same one never pays twice")
    ] = ""
    on_unknown: Annotated[
        Literal["fail", "resubmit"],
        typer.Option(help="If it stays unknown whether a paid call arrived; resubmit may pay twice"),
    ] = "fail"
    validate_only: Annotated[
        bool, typer.Option("--validate-only", metavar="", help="Check everything; start and pay nothing")
    ] = False
    detach: Annotated[bool, typer.Option("--detach", metavar="", help="Print the task id and leave")] = False

    def settings(self, *, named: bool = False) -> TaskSettings:
        """The settings of the request; `named` where the service wants a user: the login name by default."""
        settings = TaskSettings(
            model=self.model,
            size=self.size,
            user_id=self.user or (_login_name() if named else ""),
            labels=values.pairs(self.label or (), "--label"),
            request_id=self.request_id,
            validate_only=self.validate_only,
            on_unknown="RESUBMIT" if self.on_unknown == "resubmit" else "FAIL",
        )
        if self.timeout is not None:
            settings["timeout"] = self.timeout
        return settings

    def destination(self, first: ImageInput, word: str, inputs: Iterable[ImageInput | None]) -> Destination:
        """Where the results go; raises a usage error while nothing is paid yet."""
        files = tuple(each for each in inputs if isinstance(each, Path))
        destination = Destination(out=self.out, name=f"{pictures.stem(first)}-{word}", inputs=files)
        destination.check()
        return destination


@dataclass(frozen=True, kw_only=True)
class ModelOptions(Group):
    """Options of the model's own family; one family at a time."""

    openai: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of an OpenAI model; repeatable")
    ] = None
    seedream: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of a Seedream model")
    ] = None
    ideogram: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Option of an Ideogram model; repeatable")
    ] = None

    def settings(self) -> EditSettings:
        """The options as the request takes them; a usage error for two families."""
        given = list(self._messages())
        if len(given) > 1:
            raise Misuse("give options of one family only", "--openai")
        return EditSettings(options=given[0]) if given else EditSettings()

    def _messages(self) -> Iterable[Options]:
        if self.openai:
            yield values.fields(service_pb2.OpenaiOptions(), self.openai, "--openai")
        if self.seedream:
            yield values.fields(service_pb2.SeedreamOptions(), self.seedream, "--seedream")
        if self.ideogram:
            yield values.fields(service_pb2.IdeogramOptions(), self.ideogram, "--ideogram")


def finish(session: Session, task: Task, creation: Creation, destination: Destination | None) -> None:
    """Follows the new task, prints what came of it, and saves it when there is a destination."""
    if creation.validate_only:
        session.show(task, f"valid: {words.plan(task)}")
    elif creation.detach:
        session.show(task, task.task_id)
    else:
        _see_through(session, task.task_id, destination)


def _see_through(session: Session, task_id: str, destination: Destination | None) -> None:
    note(task_id)
    task = follow(session, task_id)
    for warning in task.warnings:
        note(warning)
    if session.json or destination is None:
        session.show(task, task_id)
    succeeded(task)
    if destination is not None:
        save(session, task, destination)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "cli"
