"""What the tests of ``local`` share: the photo, a plan carried out, and a pool that is only a thread."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import ParamSpec, TypeVar

from PIL import Image, ImageStat

from imageedit_server.providers.local.edits import edit
from imageedit_server.providers.local.language.instructions import Reading, understand
from imageedit_server.providers.local.plan import Edited, Originals, Plan, Step

P = ParamSpec("P")
T = TypeVar("T")

PHOTO = Path(__file__).parents[2] / "photos" / "grace_hopper.jpg"
FACE = (215, 140, 320, 160)
SKY = (400, 100, 500, 300)


def edited(prompt: str, image: Path = PHOTO, *, mask: Path | None = None, size: str = "auto") -> Edited:
    """Carry out ``prompt`` here and now."""
    steps = understand(prompt, masked=mask is not None).steps
    originals = Originals(image=image.read_bytes(), mask=mask.read_bytes() if mask else None)
    return edit(originals, Plan(steps=steps, size=size))


def picture_of(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image


def after(prompt: str, image: Path = PHOTO, *, mask: Path | None = None, size: str = "auto") -> Image.Image:
    return picture_of(edited(prompt, image, mask=mask, size=size).content)


def photo() -> Image.Image:
    with Image.open(PHOTO) as image:
        return image.convert("RGB")


def mean(image: Image.Image, box: tuple[int, int, int, int] | None = None) -> list[float]:
    """The mean of each band, within ``box``."""
    return ImageStat.Stat(image.crop(box) if box else image).mean


def pixel(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    """The bands of one pixel."""
    value = image.getpixel(place)
    return value if isinstance(value, tuple) else (int(value or 0),)


def brightness(image: Image.Image, box: tuple[int, int, int, int] | None = None) -> float:
    return mean(image.convert("L"), box)[0]


def told(reading: Reading) -> list[str]:
    """The steps of a reading as the tables write them: ``brightness +0.15 skin``."""
    return [_told(step) for step in reading.steps]


def _told(step: Step) -> str:
    words = [step.operation.value.lower()]
    if step.operation.value not in ("FLIP", "ROTATE", "CROP", "SCALE", "FILL", "ERASE"):
        words.append(f"{step.amount:+.2f}")
    if step.color:
        words.append("#" + bytes(step.color).hex())
    words += [part.value.lower() for part in (step.region, step.axis) if part]
    words += [f"{step.degrees:g}"] if step.degrees else []
    return " ".join([*words, *([step.size] if step.size else [])])


def mask_file(path: Path, size: tuple[int, int], alpha: Image.Image) -> Path:
    """Write a mask: ``alpha`` 0 edits, 255 keeps."""
    mask = Image.new("RGBA", size)
    mask.putalpha(alpha)
    mask.save(path)
    return path


def pasted(
    size: tuple[int, int], boxes: Mapping[tuple[int, int, int, int], int], ground: int = 255
) -> Image.Image:
    """An alpha channel of ``ground`` with boxes of other values."""
    alpha = Image.new("L", size, ground)
    for box, value in boxes.items():
        alpha.paste(value, box)
    return alpha
