"""The server's own program, recorded, and the control builds: ``python -m tests.powerloss.server --help``.

A control build lacks one thing of what keeps promises through a power failure. Failpoints do not kill here:
passing one is a mark in the journal, and the power fails there as often as one likes.
"""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from imageedit_server.runtime import failpoints
from tests.powerloss.journal import Op
from tests.powerloss.recorder import Recorder

LATE_SECONDS = 5.0
"""Later than the caller hears what became of the call."""
FAILPOINTS = (
    *("create_before_commit", "create_after_commit", "upload_before_fsync", "upload_after_rename"),
    *("upload_before_row", "claim_before_intent", "submit_before_intent", "submit_after_intent"),
    *("submit_after_reply", "submit_after_accepted", "poll_after_success", "download_before_commit"),
    *("download_after_commit", "answer_reserved", "answer_head", "answer_whole", "answer_understood"),
)
"""F1 to F13, F93 to F97 but F96: what this vendor answers needs no fsync of its own."""


def _normal() -> None:
    bootstrap: Any = importlib.import_module("imageedit_server.bootstrap")
    bootstrap.SqliteDatabase = partial(bootstrap.SqliteDatabase, synchronous="NORMAL")


def _no_directory_fsync() -> None:
    blobs: Any = importlib.import_module("imageedit_server.images.blobs.files")
    blobs._fsync_directory = lambda path: None


def _no_file_fsync() -> None:
    blobs: Any = importlib.import_module("imageedit_server.images.blobs.files")
    blobs.Staged.fsync = lambda staged: None


def _no_answer_fsync() -> None:
    calls: Any = importlib.import_module("imageedit_server.answers.disk_calls")
    calls.sync_data = lambda descriptor: None


def _act_before_the_answer_is_durable() -> None:
    """What is said about an answer is durable, and the answer will be, a moment later."""
    writing: Any = importlib.import_module("imageedit_server.answers.writing")
    save = writing.Writing.save

    async def later(place: Any) -> None:
        asyncio.get_running_loop().call_later(LATE_SECONDS, lambda: asyncio.ensure_future(save(place)))

    writing.Writing.save = later


CONTROLS: Mapping[str, Callable[[], None]] = {
    "synchronous=NORMAL": _normal,
    "no directory fsync": _no_directory_fsync,
    "no file fsync": _no_file_fsync,
}

ANSWER_CONTROLS: Mapping[str, Callable[[], None]] = {
    "no answer fsync": _no_answer_fsync,
    "acted on before the answer fsync": _act_before_the_answer_is_durable,
}
"""What an answer needs that nobody could read: the picture is in nothing else."""


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description="imageedit-server, recorded, or a control build of it.")
    parser.add_argument("--record", type=Path, nargs=2, metavar=("FOLDER", "JOURNAL"))
    parser.add_argument("--control", choices=[*CONTROLS, *ANSWER_CONTROLS])
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="of imageedit-server, after --")
    given = parser.parse_args()
    if given.record:
        _record(*given.record)
    if given.control:
        {**CONTROLS, **ANSWER_CONTROLS}[given.control]()
    sys.argv[1:] = given.arguments[1:]
    importlib.import_module("imageedit_server.cli").main()


def _record(folder: Path, journal: Path) -> None:
    """Begin, before the server's modules are there: they keep ``failpoint`` by its name."""
    recorder = Recorder(folder, journal)
    recorder.install()
    failpoints.failpoint = partial(recorder.journal.append, Op.MARK)


if __name__ == "__main__":
    main()
