"""The demo: a real server, a real photograph, two edits through gRPC, and the pictures to look at.

Run by `make demo`. What the server keeps goes to a temporary folder; what is to be seen goes to `demo/`.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from imageedit_client import Client, Task, TaskEvent, succeeded
from tests.demo.sheet import side_by_side
from tests.servers.processes import NotReady, Servers
from tests.servers.programs import ROOT, serve_arguments

PHOTO = ROOT / "tests" / "photos" / "grace_hopper.jpg"
OUT = ROOT / "demo"

MASKED_EDIT = "make it black and white and blur it"
MODEL_EDIT = "怀旧，左右翻转"
"""Sepia, and mirrored."""

CAPTIONS = (
    "the photograph",
    f'EditImage, with a mask:\n"{MASKED_EDIT}"',
    "CreateModelEdit, in Chinese:\nsepia, and mirrored",
)

HEAD = (0.29, 0.02, 0.75, 0.60)
"""Where her head is: left, top, right and bottom as parts of the width and height."""
SHOULDERS = [(-0.1, 1.1), (0.02, 0.72), (0.10, 0.61), (0.36, 0.53), (0.40, 0.40)]
SHOULDERS += [(0.68, 0.40), (0.68, 0.50), (0.88, 0.61), (1.1, 0.76), (1.1, 1.1)]


def main() -> None:
    """Run the demo."""
    asyncio.run(_main())


async def _main() -> None:
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with server(Path(folder)) as address:
            print(f"server  {address}, data in {folder}")
            await asyncio.to_thread(_edit, address)


def _edit(address: str) -> None:
    with Client(address) as client:
        photo = client.upload(PHOTO)
        print(f"upload  {PHOTO.name}: {photo.width}x{photo.height} {photo.media_type} {photo.image_id[:19]}…")
        masked = edit_with_mask(client, photo.image_id)
        edited = edit_default_model(client, photo.image_id)
        made = [save(client, masked, "masked"), save(client, edited, "model-edit")]
    sheet = side_by_side(dict(zip(CAPTIONS, (PHOTO, *made), strict=True)), OUT / "before-after.png")
    for path in (*made, sheet):
        print(f"saved   {path.relative_to(ROOT)}")


@asynccontextmanager
async def server(
    folder: Path, config: Path | None = None, *, environment: Mapping[str, str] | None = None, **listen: str
) -> AsyncIterator[str]:
    """Run the real server, on free ports unless told; yield its address once it says ready."""
    async with Servers(folder) as servers:
        arguments = serve_arguments(config, folder / "data", **listen)
        started = await servers.run(*arguments, environment=environment)
        try:
            yield (await started.ready()).grpc
        except NotReady as error:
            sys.exit(f"The server did not start:\n{error}")


def edit_with_mask(client: Client, image_id: str) -> Task:
    """Edit the surroundings and leave the person as she is."""
    print(f"\nEditImage  {MASKED_EDIT!r}, where the mask is transparent")
    task = client.edit_image(MASKED_EDIT, [image_id], mask=portrait_mask())
    return follow(client, task)


def edit_default_model(client: Client, image_id: str) -> Task:
    """Register the photo as a default model, then edit that."""
    print("\nCreateDefaultModel")
    base = client.create_default_model(image_id, user_id="demo", angle="front")
    follow(client, base)
    print(f"\nCreateModelEdit  {MODEL_EDIT!r}")
    return follow(client, client.create_model_edit(base.task_id, MODEL_EDIT, user_id="demo"))


def follow(client: Client, task: Task) -> Task:
    """Print every event of a task; return it finished."""
    for event in client.watch(task.task_id):
        print(f"  {line_of(event)}")
        task = event.task
    for warning in task.warnings:
        print(f"  note: {warning}")
    return succeeded(task)


def line_of(event: TaskEvent) -> str:
    """Describe an event."""
    task = event.task
    state = Task.State.Name(task.state).removeprefix("STATE_")
    stage = Task.Stage.Name(task.stage).removeprefix("STAGE_") if task.stage else ""
    time = event.time.ToDatetime().strftime("%H:%M:%S.%f")[:-3]
    return f"{event.seq:2}  {time}  {state:<9}  {stage:<11}  {task.progress_percent:3}%"


def portrait_mask(*, keeps_person: bool = True) -> bytes:
    """Draw a mask: opaque over the person, transparent around her, soft between; or the other way round."""
    with Image.open(PHOTO) as photo:
        width, height = photo.size
    alpha = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(alpha)
    left, top, right, bottom = HEAD
    draw.ellipse((left * width, top * height, right * width, bottom * height), fill=255)
    draw.polygon([(x * width, y * height) for x, y in SHOULDERS], fill=255)
    alpha = alpha if keeps_person else ImageChops.invert(alpha)
    mask = Image.new("RGBA", (width, height))
    mask.putalpha(alpha.filter(ImageFilter.GaussianBlur(width / 60)))
    with BytesIO() as content:
        mask.save(content, "PNG")
        return content.getvalue()


def save(client: Client, task: Task, name: str) -> Path:
    """Save a task's picture."""
    image = task.images[0]
    path = OUT / f"{name}.{image.media_type.removeprefix('image/')}"
    client.download_to(image.image_id, path)
    return path


if __name__ == "__main__":
    main()
