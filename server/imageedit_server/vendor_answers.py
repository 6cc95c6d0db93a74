"""What operators do with vendors' answers that are still here: list, show, save, export, read again.

Files are only read here. Reading an answer again writes, so it is the work of whoever has the lock of the
data: a server that runs, asked by a request, or else this process. The texts are vendors' own, not fit for a
terminal: whoever prints them sees to that.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from imageedit_server.answers.exporting import exchange_of
from imageedit_server.answers.files import REMOVE_SECONDS
from imageedit_server.answers.reading import Stored, read_file
from imageedit_server.answers.requests import Requests
from imageedit_server.bootstrap import answers_of, read_again_here
from imageedit_server.outbound.answers import Answer
from imageedit_server.settings import Settings
from imageedit_server.store.database import StoreInUse

STEP_SECONDS = 0.1
PATIENCE_SECONDS = 60.0
"""How long a server may take to carry out a request."""
PREVIEW_CHARS = 400


class NoAnswer(Exception):
    """There is nothing to show; the message is a sentence."""


def listed(settings: Settings) -> Iterator[str]:
    """Yield a line for every answer that is kept, or that nobody has acted on yet, the oldest call first."""
    for stored in answers_of(settings).stored():
        yield _line(stored, _read(stored))


def shown(settings: Settings, task_id: str) -> Iterator[str]:
    """Yield what is known of the answers to a task's calls. Raises ``NoAnswer``."""
    for stored in _of_task(settings, task_id):
        answer = _read(stored)
        yield _line(stored, answer)
        if answer is not None:
            yield from (f"  {name}: {value}" for name, value in sorted(answer.headers.items()))
            yield f"  asked: {json.dumps(dict(stored.asked.brief), ensure_ascii=True)[:PREVIEW_CHARS]}"
            yield from ([f"  note: {answer.note}"] if answer.note else [])
            yield f"  body: {answer.body[:PREVIEW_CHARS].decode(errors='replace')}"


def save(settings: Settings, task_id: str, file: Path) -> str:
    """Write the body of a task's newest answer to a new file, for its owner alone; return a sentence.

    Raises ``NoAnswer``, and ``OSError`` also for a file that exists.
    """
    answer = _newest(settings, task_id)[1]
    _write(file, answer.body)
    return f"{len(answer.body)} bytes, as they came, are in {file}."


def export(settings: Settings, task_id: str, file: Path) -> str:
    """Write the exchange of a task's newest answer, redacted, to a new file; return a sentence.

    Raises as ``save`` does.
    """
    stored, answer = _newest(settings, task_id)
    exchange = json.dumps(exchange_of(stored.asked, answer), indent=2, ensure_ascii=False)
    _write(file, f"{exchange}\n".encode())
    return (
        f"The exchange is in {file}, pictures and texts replaced by their sizes; look before you pass it on."
    )


def read_again(settings: Settings, task_id: str) -> str:
    """Have the answers of a task read once more, by the server that runs or else here; return a sentence.

    Raises ``NoAnswer`` where none is kept, ``StoreRefused``, ``TimeoutError`` for a server that does nothing.
    """
    before = _kept(settings, task_id)
    if not before:
        raise NoAnswer(f"No answer that could not be read is kept for {task_id}.")
    try:
        asyncio.run(read_again_here(settings, task_id))
    except StoreInUse:
        _ask(Requests(settings.server.data_dir), task_id)
    left = _kept(settings, task_id)
    read = len(before) - len(left)
    return f"Read: {read} of {len(before)}." + (" See late_images of the attempt." if read else "")


def _ask(requests: Requests, task_id: str) -> None:
    """Leave a request to the server, and wait until it was carried out."""
    requests.make(task_id)
    ends = time.monotonic() + PATIENCE_SECONDS
    while requests.are_there(task_id):
        if time.monotonic() > ends:
            requests.done(task_id)
            raise TimeoutError("the server that uses the data did not read the answer within a minute")
        time.sleep(STEP_SECONDS)
    time.sleep(2 * REMOVE_SECONDS)  # files that are not needed any more go together


def _of_task(settings: Settings, task_id: str) -> list[Stored]:
    found = [each for each in answers_of(settings).stored() if each.asked.task_id == task_id]
    if not found:
        raise NoAnswer(f"No answer to a call for {task_id} is here; what was read and brought home is gone.")
    return found


def _kept(settings: Settings, task_id: str) -> list[Stored]:
    return [each for each in answers_of(settings).stored() if each.asked.task_id == task_id and each.tried]


def _newest(settings: Settings, task_id: str) -> tuple[Stored, Answer]:
    for stored in reversed(_of_task(settings, task_id)):
        if (answer := _read(stored)) is not None:
            return stored, answer
    raise NoAnswer(f"The answers for {task_id} are gone meanwhile.")


def _read(stored: Stored) -> Answer | None:
    with suppress(FileNotFoundError):  # it was acted on meanwhile
        return read_file(stored.path)
    return None


def _line(stored: Stored, answer: Answer | None) -> str:
    asked = stored.asked
    standing = f"kept, {stored.tried} could not read it" if stored.tried else "not acted on yet"
    label = answer.headers.get("content-type", "no label") if answer else "gone"
    status, ended = (answer.status, answer.ended.value) if answer else ("", "")
    return (
        f"{asked.task_id}  attempt {asked.attempt}  {asked.provider}  {asked.call_time:%Y-%m-%d %H:%M:%S}"
        f"  {status} {label}  {stored.size_bytes} bytes  {ended}  {standing}"
    )


def _write(file: Path, data: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
