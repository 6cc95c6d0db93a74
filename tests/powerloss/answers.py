"""An answer that nobody can read, and the power that fails when the caller has been told of it."""

from pathlib import Path

from imageedit.v1 import task_pb2
from imageedit_client import AsyncClient
from imageedit_server.answers.files import ANSWERS_FOLDER
from imageedit_server.answers.reading import read_file, stored_in
from tests.powerloss.disk import Disk
from tests.powerloss.launch import DATA, How, process
from tests.powerloss.recording import Recording
from tests.powerloss.workload import Promises, Seen, picture
from tests.servers.config import Table, base_tables
from tests.vendors.openai.behaviours import replies
from tests.vendors.openai.server import OpenaiVendor, Personality
from tests.vendors.serving import Response

MODEL = "relay/model"
RIDDLE = b"%the picture that nobody finds%" * 1000


class RiddlingRelay(OpenaiVendor):
    """Works, is paid, and answers in a form that nobody knows."""

    def __init__(self) -> None:
        super().__init__(personality=Personality.RELAY)
        answer = Response(body=RIDDLE, media_type="application/x-riddle")
        self.misbehave(replies("riddles", lambda honest: answer), times=None)

    def tables(self) -> dict[str, Table]:
        """Return the configuration of a server that works with it."""
        relay = {
            "adapter": "openai",
            "base_url": self.url,
            "api_key": self.api_key,
            "rules": "relay",
            "models": {MODEL: "relay-image"},
        }
        return {**base_tables(allow=[self.url]), "providers.relay": relay}


async def record_riddle(folder: Path, vendor: RiddlingRelay, how: How, control: str = "") -> Recording:
    """Record a server, a build that lacks ``control`` if any, up to the end of one task, and stop it."""
    disk, journal = folder / "disk", folder / "journal"
    disk.mkdir(parents=True)
    before, promises = Disk.of(disk), Promises()
    async with (
        process(disk, vendor, how(disk, journal, control)) as server,
        AsyncClient(server.grpc) as client,
    ):
        image = await client.upload(picture("riddle"))
        task = await client.edit_image("guess", [image.image_id], model=MODEL, size="64x64")
        async for event in client.watch(task.task_id):
            promises.seen.append(Seen(journal.stat().st_size, event))
        await server.kill()
    return Recording(disk, before, journal, promises)


def told_of(recording: Recording) -> task_pb2.Attempt:
    """Return the attempt as its caller was told of it in the end."""
    return recording.promises.seen[-1].event.task.attempts[-1]


def is_kept(disk: Path) -> bool:
    """Say whether the answer is there, whole, when the power is back."""
    folder = disk / DATA / ANSWERS_FOLDER
    found = [read_file(stored.path) for stored in stored_in(folder)] if folder.exists() else []
    return [answer.body for answer in found if answer] == [RIDDLE]
