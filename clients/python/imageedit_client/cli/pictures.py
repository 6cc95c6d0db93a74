"""How a picture is named on the command line."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from imageedit_client.uploads import ImageInput

from .output import Misuse

TASK_OUTPUT = re.compile(r"(task_[0-9a-f]{32})(?:/(\d+))?")
HELP = "A file, an https URL, an image id (sha256:...) or a finished task's output (task_.../0)"


def picture(text: str) -> ImageInput:
    """Reads the word; a file must exist. Raises a usage error."""
    if text.startswith("sha256:") or "://" in text:
        return text
    if output := TASK_OUTPUT.fullmatch(text):
        return output[1], int(output[2] or 0)
    path = Path(text)
    if not path.is_file():
        raise Misuse(f'there is no file "{text}"')
    return path


def stem(image: ImageInput) -> str:
    """What the results are named after."""
    match image:
        case Path():
            return image.stem
        case (str(task_id), _):
            return task_id
        case str() if "://" in image:
            return PurePosixPath(urlsplit(image).path).stem or "image"
        case str():
            return image.removeprefix("sha256:")[:12]
    return "image"
