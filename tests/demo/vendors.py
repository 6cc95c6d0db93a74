"""The demo with vendors: a task per vendor page, through its adapter, over HTTP, to a vendor on loopback.

Run by `make demo-vendors`. The vendors are strict servers of our own that keep a ledger of what they charged;
no picture leaves this machine. The server knows them by a config file and by keys in its environment, as it
would know the real ones.
"""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from imageedit_client import Client, SeedreamOptions, Task
from tests.demo.run import OUT, PHOTO, follow, portrait_mask, save, server, side_by_side
from tests.demo.unreadable import show_unreadable
from tests.servers.programs import ROOT
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

WORK_SECONDS = 1.0
SQUARE = 512


@dataclass(frozen=True, kw_only=True)
class Vendors:
    """The vendors of the five pages."""

    kie: KieVendor
    relay: OpenaiVendor
    dalle: OpenaiVendor
    suitme: SuitmeVendor

    def charges(self) -> int:
        """Return how many charges stand in all ledgers."""
        return sum(len(vendor.ledger) for vendor in (self.kie, self.relay, self.dalle, self.suitme))


def main() -> None:
    """Run the demo."""
    asyncio.run(_main())


async def _main() -> None:
    OUT.mkdir(exist_ok=True)
    async with vendors() as running:
        with tempfile.TemporaryDirectory() as folder:
            await _edit_with_all(Path(folder), running)
            print(f"\ncharges in the vendors' ledgers: {running.charges()}")
            await show_unreadable(Path(folder) / "unreadable")


@asynccontextmanager
async def vendors() -> AsyncIterator[Vendors]:
    """Run every vendor on a free port."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        yield Vendors(
            kie=await start(KieVendor(work_seconds=WORK_SECONDS, picture_side=SQUARE)),
            relay=await start(OpenaiVendor(personality=Personality.RELAY, work_seconds=WORK_SECONDS)),
            dalle=await start(OpenaiVendor(personality=Personality.PAGE_3, work_seconds=WORK_SECONDS)),
            suitme=await start(SuitmeVendor(picture_side=SQUARE)),
        )


async def _edit_with_all(folder: Path, running: Vendors) -> None:
    config = folder / "imageedit.toml"
    http = f"127.0.0.1:{_free_port()}"
    config.write_text(_config(running, http))
    keys = {
        "KIE_API_KEY": running.kie.api_key,
        "RELAY_API_KEY": running.relay.api_key,
        "DALLE_API_KEY": running.dalle.api_key,
        "SUITME_API_KEY": running.suitme.api_key,
    }
    async with server(folder, config, environment=keys, http_listen=http) as address:
        await asyncio.to_thread(_show_all, address)


def _show_all(address: str) -> None:
    with Client(address) as client:
        tasks = dict(_tasks(client))
        pictures = [save(client, task, page) for page, task in tasks.items()]
    sheet = side_by_side([PHOTO, *pictures], "vendors.png")
    _print(tasks)
    for path in (*pictures, sheet):
        print(f"saved   {path.relative_to(ROOT)}")


def _config(running: Vendors, http: str) -> str:
    """Write what an operator would write; the addresses differ because the vendors are on loopback."""
    return f"""
[server]
public_url = "http://{http}"

[fetch]
allow = [{", ".join(f'"{_place(url)}"' for url in _result_hosts(running))}]

[providers.suitme]
adapter = "suitme"
base_url = "{running.suitme.url}"
api_key_env = "SUITME_API_KEY"
poll_seconds = [0.3, 1, 5]

[providers.relay]
adapter = "openai"
base_url = "{running.relay.url}"
rules = "relay"
api_key_env = "RELAY_API_KEY"
[providers.relay.models]
"relay/image" = "relay-image"

[providers.kie]
adapter = "kie"
base_url = "{running.kie.api_url}"
upload_url = "{running.kie.upload_url}"
api_key_env = "KIE_API_KEY"
poll_seconds = [0.3, 1, 5]

[providers.dalle]
adapter = "openai"
base_url = "{running.dalle.url}"
path = "/v1/images/edits/"
rules = "dall-e-2"
api_key_env = "DALLE_API_KEY"
[providers.dalle.models]
"dalle/dall-e-2" = "dall-e-2"
"""


def _result_hosts(running: Vendors) -> Iterable[str]:
    return {running.kie.result_url, running.relay.url, running.dalle.url, running.suitme.url}


def _place(url: str) -> str:
    return url.removeprefix("http://").split("/")[0]


def _tasks(client: Client) -> Iterator[tuple[str, Task]]:
    """Run one task for each page; yield its name and how it ended."""
    yield "page-0-suitme", _model_edit(client)
    yield "page-1-relay", _edit(client, "make it warmer", [PHOTO], model="relay/image")
    high = SeedreamOptions(quality=SeedreamOptions.QUALITY_HIGH)
    yield (
        "page-2-seedream",
        _edit(client, "把背景换成海边", [PHOTO], model="seedream/4.5-edit", size="3:4", options=high),
    )
    square, mask = _square()
    yield "page-3-dall-e-2", _edit(client, "a garden behind her", [square], mask=mask, model="dalle/dall-e-2")
    yield (
        "page-4-ideogram",
        _edit(
            client,
            "面带微笑向前看",
            [PHOTO],
            mask=portrait_mask(),
            reference_images=[PHOTO],
            model="ideogram/character-edit",
        ),
    )


def _edit(client: Client, prompt: str, images: list[Any], **settings: Any) -> Task:
    print(f"\nEditImage  {settings['model']}  {prompt!r}")
    return follow(client, client.edit_image(prompt, images, **settings))


def _model_edit(client: Client) -> Task:
    model = "suitme/model-edit"
    print(f"\nCreateDefaultModel  {model}")
    base = follow(client, client.create_default_model(PHOTO, user_id="demo", model=model))
    instructions = "将发型改为短发，肤色调亮一些"
    print(f"\nCreateModelEdit  {model}  {instructions!r}")
    return follow(client, client.create_model_edit(base.task_id, instructions, user_id="demo", model=model))


def _square() -> tuple[bytes, bytes]:
    """Cut the photo and its mask to the square PNGs that page 3 asks for."""
    with Image.open(PHOTO) as photo, Image.open(BytesIO(portrait_mask())) as mask:
        return _png(photo.crop((0, 0, SQUARE, SQUARE))), _png(mask.crop((0, 0, SQUARE, SQUARE)))


def _png(picture: Image.Image) -> bytes:
    with BytesIO() as content:
        picture.save(content, "PNG")
        return content.getvalue()


def _print(tasks: Mapping[str, Task]) -> None:
    print(f"\n{'page':<16} {'model':<24} {'state':<10} {'picture':<10} {'billing':<12} vendor task id")
    for page, task in tasks.items():
        image, attempt = task.images[0], task.attempts[-1]
        state = Task.State.Name(task.state).removeprefix("STATE_")
        billing = Task.Billing.Name(task.billing).removeprefix("BILLING_")
        vendor_task_id = attempt.vendor_task_id or "(answers at once)"
        size = f"{image.width}x{image.height}"
        print(f"{page:<16} {task.model:<24} {state:<10} {size:<10} {billing:<12} {vendor_task_id}")


def _free_port() -> int:
    """Find a port for callbacks, whose address the server must be told before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
