"""The demo with vendors: every vendor page gets a task, through its adapter, over HTTP, on loopback.

Run by `make demo-vendors`. The vendors are doubles, strict servers of our own that keep a ledger of what
they charged; no picture leaves this machine. The server knows them by a config file and by keys in its
environment, as it would know the real ones.
"""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from imageedit_client import Client, SeedreamOptions, Task
from tests.demo.run import OUT, PHOTO, follow, portrait_mask, save, server
from tests.demo.sheet import side_by_side
from tests.demo.unreadable import show_unreadable
from tests.servers.programs import ROOT
from tests.vendors.kie.server import KieVendor
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.suitme.server import SuitmeVendor

WORK_SECONDS = 1.0
SQUARE = 512
SUITME = "suitme/model-edit"
DOUBLES = (
    "The vendors are doubles on this machine: they check what they are sent as strictly as the real ones,"
    " and tint or paste where those would paint."
)


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


@dataclass(frozen=True, kw_only=True)
class Done:
    """A task that ended, with the page that it was for and what its vendor charged."""

    page: int
    vendor: str
    task: Task
    charges: int

    @property
    def is_edit(self) -> bool:
        """Whether its picture is to be shown; of a default model it is the photograph."""
        return self.task.kind != Task.KIND_DEFAULT_MODEL

    @property
    def name(self) -> str:
        """What its picture is called."""
        return f"page-{self.page}-{self.task.model.replace('/', '-')}"

    @property
    def caption(self) -> str:
        """What stands beneath its picture."""
        return f"page {self.page}: {self.vendor} (double)\n{self.task.model}"


def main() -> None:
    """Run the demo."""
    asyncio.run(_main())


async def _main() -> None:
    OUT.mkdir(exist_ok=True)
    async with vendors() as running:
        with tempfile.TemporaryDirectory() as folder:
            print(DOUBLES)
            await _edit_with_all(Path(folder), running)
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
        await asyncio.to_thread(_show_all, address, running)


def _show_all(address: str, running: Vendors) -> None:
    with Client(address) as client:
        done = list(_charged(_tasks(client), running))
        made = {each.caption: save(client, each.task, each.name) for each in done if each.is_edit}
    sheet = side_by_side({"the photograph": PHOTO, **made}, OUT / "vendors.png", DOUBLES)
    _print(done)
    for path in (*made.values(), sheet):
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


def _charged(tasks: Iterator[tuple[int, str, Task]], running: Vendors) -> Iterator[Done]:
    """Run the tasks; yield each with what stands in the ledgers for it."""
    before = running.charges()
    for page, vendor, task in tasks:
        after = running.charges()
        yield Done(page=page, vendor=vendor, task=task, charges=after - before)
        before = after


def _tasks(client: Client) -> Iterator[tuple[int, str, Task]]:
    """Run the tasks of every page; yield the page, the vendor and how the task ended."""
    base = _default_model(client)
    yield 0, "Suitme", base
    yield 0, "Suitme", _model_edit(client, base)
    yield 1, "a relay", _edit(client, "make it warmer", [PHOTO], model="relay/image")
    high = SeedreamOptions(quality=SeedreamOptions.QUALITY_HIGH)
    seedream: dict[str, Any] = {"model": "seedream/4.5-edit", "size": "3:4", "options": high}
    yield 2, "kie.ai", _edit(client, "把背景换成海边", [PHOTO], **seedream)
    square, mask = _square()
    yield (
        3,
        "OpenAI's form",
        _edit(client, "a garden behind her", [square], mask=mask, model="dalle/dall-e-2"),
    )
    character = {"mask": portrait_mask(keeps_person=False), "reference_images": [_reference()]}
    yield 4, "kie.ai", _edit(client, "面带微笑向前看", [PHOTO], model="ideogram/character-edit", **character)


def _edit(client: Client, prompt: str, images: list[Any], **settings: Any) -> Task:
    print(f"\nEditImage  {settings['model']}  {prompt!r}")
    return follow(client, client.edit_image(prompt, images, **settings))


def _default_model(client: Client) -> Task:
    print(f"\nCreateDefaultModel  {SUITME}")
    return follow(client, client.create_default_model(PHOTO, user_id="demo", model=SUITME))


def _model_edit(client: Client, base: Task) -> Task:
    instructions = "将发型改为短发，肤色调亮一些"
    print(f"\nCreateModelEdit  {SUITME}  {instructions!r}")
    return follow(client, client.create_model_edit(base.task_id, instructions, user_id="demo", model=SUITME))


def _reference() -> bytes:
    """Make another picture of the person: mirrored, in black and white."""
    with Image.open(PHOTO) as photo:
        return _png(ImageOps.mirror(photo.convert("L")))


def _square() -> tuple[bytes, bytes]:
    """Cut the photo and its mask to the square PNGs that page 3 asks for."""
    with Image.open(PHOTO) as photo, Image.open(BytesIO(portrait_mask())) as mask:
        return _png(photo.crop((0, 0, SQUARE, SQUARE))), _png(mask.crop((0, 0, SQUARE, SQUARE)))


def _png(picture: Image.Image) -> bytes:
    with BytesIO() as content:
        picture.save(content, "PNG")
        return content.getvalue()


def _print(done: Sequence[Done]) -> None:
    row = "{:<5} {:<14} {:<24} {:<14} {:<10} {:<10} {:>8} {:>8}  {}".format
    print()
    print(row("page", "vendor", "model", "task", "state", "picture", "billing", "charges", "vendor task id"))
    for each in done:
        task, image = each.task, each.task.images[0]
        print(
            row(
                each.page,
                each.vendor,
                task.model,
                "edit" if each.is_edit else "default model",
                Task.State.Name(task.state).removeprefix("STATE_"),
                f"{image.width}x{image.height}",
                Task.Billing.Name(task.billing).removeprefix("BILLING_"),
                each.charges,
                task.attempts[-1].vendor_task_id or "(answers at once)",
            )
        )
    print(f"charges in all the vendors' ledgers: {sum(each.charges for each in done)}")


def _free_port() -> int:
    """Find a port for callbacks, whose address the server must be told before it starts."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
