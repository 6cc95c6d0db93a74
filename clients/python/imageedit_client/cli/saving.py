"""Where results are written: never over an input, and never by default over anything."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from imageedit.v1 import image_pb2, task_pb2
from imageedit_client.downloads import extension

from .output import Misuse, note, put_path
from .session import Session


@dataclass(frozen=True, kw_only=True)
class Destination:
    """Where the results of one command go."""

    # What -o said: a file, or a folder when it is one or ends in a slash. None: the working folder.
    out: str | None
    # Names results in a folder: "photo-edited".
    name: str
    # Files that must survive.
    inputs: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raises a usage error while nothing is paid yet. Makes the folder that -o names."""
        path = Path(self.out or ".")
        if self._is_folder():
            path.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            raise Misuse(f'there is no folder "{path.parent}"', "-o")
        elif self._is_input(path):
            raise Misuse(f'"{path}" is an input; choose another file', "-o")

    def paths(self, images: Sequence[image_pb2.Image]) -> Iterator[Path]:
        """One path an image, in order; each must be written before the next is asked for."""
        for number, image in enumerate(images, 1):
            suffix = f"-{number}" if len(images) > 1 else ""
            yield self._in_folder(suffix, image) if self._is_folder() else self._as_named(suffix)

    def _is_folder(self) -> bool:
        return self.out is None or self.out.endswith(("/", os.sep)) or Path(self.out).is_dir()

    def _is_input(self, path: Path) -> bool:
        return path.exists() and any(path.samefile(each) for each in self.inputs)

    def _as_named(self, suffix: str) -> Path:
        path = Path(self.out or ".")
        path = path.with_name(f"{path.stem}{suffix}{path.suffix}")
        return _free(path) if self._is_input(path) else path

    def _in_folder(self, suffix: str, image: image_pb2.Image) -> Path:
        return _free(Path(self.out or ".") / f"{self.name}{suffix}{extension(image)}")


def save(session: Session, task: task_pb2.Task, destination: Destination) -> None:
    """Downloads every result and prints where it is."""
    try:
        for image, path in zip(task.images, destination.paths(task.images), strict=True):
            _save_one(session, image, path)
    except BaseException:
        note(f"the results are kept: {session.hint(f'download {task.task_id}')}")
        raise


def _save_one(session: Session, image: image_pb2.Image, path: Path) -> None:
    saved = session.client.download_to(image.image_id, path)
    if path.suffix.lower() not in {extension(image), ".jpeg" if extension(image) == ".jpg" else ""}:
        note(f"{saved.path} holds {image.media_type}, whatever its name says")
    # With --json stdout belongs to the task.
    put_path(saved.path, aside=session.json)


def _free(path: Path) -> Path:
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
    return path if not path.exists() else next(each for each in numbered if not each.exists())
