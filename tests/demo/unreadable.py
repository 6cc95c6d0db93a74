"""The part of the demo with vendors that goes wrong: a relay is paid, and answers in a form nobody knows.

The picture is not lost: the answer is kept, and a newer version reads it again at the operator's word.
"""

import asyncio
import sys
from pathlib import Path

from imageedit_client import Client, Task
from tests.demo.run import OUT, PHOTO, line_of, server
from tests.servers.programs import COMMAND, ROOT, run_to_end
from tests.storm.riddles import riddle
from tests.vendors.openai.behaviours import replies
from tests.vendors.openai.server import OpenaiVendor, Personality

NEWER = (sys.executable, "-m", "tests.demo.newer")
MODEL = "relay/image"


async def show_unreadable(folder: Path) -> None:
    """Run the relay, lose nothing to it, and print what happens."""
    async with OpenaiVendor(personality=Personality.RELAY) as relay:
        relay.misbehave(replies("riddles", riddle))
        config = _config(folder, relay)
        async with server(folder, config) as address:
            task = await asyncio.to_thread(_edit, address)
            where = ("--config", str(config), "--data-dir", str(folder / "data"))
            await _operator(str(COMMAND), "answers", task.task_id, *where)
        await _operator(*NEWER, "answers", task.task_id, *where, "--read-again")
        async with server(folder, config) as address:
            await asyncio.to_thread(_fetch, address, task.task_id)
        print(f"charges in this relay's ledger: {len(relay.ledger)}, for a picture that is home all the same")


def _config(folder: Path, relay: OpenaiVendor) -> Path:
    folder.mkdir()
    path = folder / "imageedit.toml"
    path.write_text(f"""
[fetch]
allow = ["{relay.url.removeprefix("http://")}"]

[providers.relay]
adapter = "openai"
base_url = "{relay.url}"
rules = "relay"
api_key = "{relay.api_key}"
[providers.relay.models]
"{MODEL}" = "relay-image"
""")
    path.chmod(0o600)
    return path


def _edit(address: str) -> Task:
    print(f"\nEditImage  {MODEL}  at a relay that answers in a form nobody knows")
    with Client(address) as client:
        task = client.edit_image("make it warmer", [PHOTO], model=MODEL)
        for event in client.watch(task.task_id):
            print(f"  {line_of(event)}")
            task = event.task
    print(f"  {task.error.reason}: {task.error.message}")
    return task


async def _operator(*command: str) -> None:
    """Let the operator type a command."""
    shown = " ".join(("imageedit-server", *command[command.index("answers") :]))
    print(f"\n$ {shown.partition(' --config')[0]}{' --read-again' if '--read-again' in shown else ''}")
    ran = await run_to_end(*command, cwd=ROOT)
    print("".join(f"  {line}\n" for line in (ran.out + ran.err).splitlines()), end="")


def _fetch(address: str, task_id: str) -> None:
    path = OUT / "recovered.png"
    with Client(address) as client:
        [image] = client.get(task_id).attempts[-1].late_images
        client.download_to(image.image_id, path)
    print(f"\nsaved   {path.relative_to(ROOT)}, a late image of the task")
