"""An edit from end to end: accepted, paid for at a vendor that answers at once, watched, downloaded."""

import secrets
from contextlib import AbstractAsyncContextManager

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from tests.bench.bench import Bench, Stub
from tests.bench.pictures import Picture
from tests.bench.processes import module, serving
from tests.servers.processes import Server

KEY = f"sk-{secrets.token_hex(32)}"
"""LiteLLM's proxy does not start without a strong one."""
SETTINGS = """
[providers.{key}]
adapter = "openai"
base_url = "http://{vendor}/{key}"
rules = "relay"
api_key = "{secret}"
[providers.{key}.models]
"{key}/image" = "gpt-image-1"
"""


def settings(vendor: str, *pictures: Picture) -> str:
    """Return the settings of a service before this vendor, with a provider for each picture."""
    return "".join(SETTINGS.format(vendor=vendor, key=picture.key, secret=KEY) for picture in pictures)


def serving_vendor(bench: Bench, *pictures: Picture) -> AbstractAsyncContextManager[Server]:
    """Run a vendor that answers the edits of each picture with the picture itself."""
    folder, answers = bench.new_folder(), bench.new_folder()
    for picture in pictures:
        (answers / picture.key).write_bytes(picture.content)
    return serving(module("vendor", str(answers)), folder / "vendor.log", doors=["http"])


async def edit_once(stub: Stub, picture: Picture) -> bytes:
    """Edit a picture that comes with the request; return what came of it."""
    source = image_pb2.ImageSource(content=picture.content)
    accepted = await stub.EditImage(
        pb.EditImageRequest(model=f"{picture.key}/image", prompt="make it black and white", images=[source])
    )
    async for told in stub.WatchTask(pb.WatchTaskRequest(task_id=accepted.task.task_id)):
        task = told.event.task
    if not task.images:
        raise RuntimeError(f"an edit failed: {task.error}")
    download = stub.DownloadImage(pb.DownloadImageRequest(image_id=task.images[0].image_id))
    return b"".join([response.chunk async for response in download])
