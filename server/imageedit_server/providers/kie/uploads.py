"""Inputs on their way to the vendor: bytes become URLs through its file-stream upload (VENDORS §2.7).

Free and repeatable, so that whatever is not clearly final is tried again later. Each file has a name of its
own: the vendor overwrites a name that comes twice and serves the old content for a while.
"""

import asyncio
import uuid
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from imageedit_server.core.errors import FailureReason
from imageedit_server.core.image import EXTENSIONS
from imageedit_server.outbound.client import ApiClient, OutboundError, Part
from imageedit_server.pictures.ready import EditColor, Ready, Taken, black_and_white
from imageedit_server.providers.base import InputImage, Job
from imageedit_server.providers.kie.answers import UPLOAD_RETRY_SECONDS, Answers
from imageedit_server.providers.kie.inputs import Uploaded
from imageedit_server.providers.kie.models import MAX_FILE_BYTES
from imageedit_server.providers.outcomes import made_ready, not_processed
from imageedit_server.providers.sending import changes, picture_for, refuse_too_large
from imageedit_server.runtime.workers import Workers

UPLOAD_PATH = "/api/file-stream-upload"
FOLDER = "imageedit"
AT_ONCE = 8
UPLOAD_SECONDS = 60.0

T = TypeVar("T")


class Uploads:
    """Uploads the inputs of jobs; of one provider, at most ``AT_ONCE`` files are in memory at once."""

    def __init__(self, client: ApiClient, workers: Workers, answers: Answers, edit_color: EditColor) -> None:
        self._client = client
        self._workers = workers
        self._answers = answers
        self._edit_color = edit_color
        self._places = asyncio.Semaphore(AT_ONCE)

    async def upload(self, job: Job) -> tuple[Uploaded, tuple[str, ...]]:
        """Return where a job's inputs are now, with a sentence for each that was changed on the way.

        Raises ``PrepareError`` for what no later try can mend, ``NotProcessed`` for everything else.
        """
        images = [self._picture(f"images[{index}]", given) for index, given in enumerate(job.images)]
        references = [
            self._picture(f"reference_images[{index}]", given)
            for index, given in enumerate(job.reference_images)
        ]
        masks = [self._mask(job.mask)] if job.mask else []
        done = await _all([*images, *references, *masks])
        urls = tuple(url for url, _ in done)
        uploaded = Uploaded(
            images=urls[: len(images)],
            references=urls[len(images) : len(images) + len(references)],
            mask=urls[-1] if masks else "",
        )
        return uploaded, tuple(warning for _, warnings in done for warning in warnings)

    async def _picture(self, field: str, given: InputImage) -> tuple[str, list[str]]:
        async with self._places:
            ready = await picture_for(self._workers, given, Taken(max_bytes=MAX_FILE_BYTES))
            return await self._send(field, ready), list(changes(field, ready))

    async def _mask(self, given: InputImage) -> tuple[str, list[str]]:
        async with self._places:
            content = await made_ready(self._workers, given, black_and_white, self._edit_color)
            warning = f"The mask was sent in black and white; {self._edit_color} marks what is edited."
            return await self._send("mask", Ready(content=content, media_type="image/png")), [warning]

    async def _send(self, field: str, file: Ready) -> str:
        refuse_too_large(field, file, MAX_FILE_BYTES)
        name = f"{uuid.uuid4().hex}.{EXTENSIONS[file.media_type]}"
        parts = [
            Part("file", file.content, name, file.media_type),
            Part("uploadPath", FOLDER.encode()),
            Part("fileName", name.encode()),
        ]
        try:
            reply = await self._client.send("POST", UPLOAD_PATH, parts=parts, limit_seconds=UPLOAD_SECONDS)
        except OutboundError as error:
            message = f"The provider did not take an upload: {error}"
            raise not_processed(
                FailureReason.PROVIDER_UNAVAILABLE, message, retry_after=UPLOAD_RETRY_SECONDS
            ) from error
        return self._answers.upload_url(reply)


async def _all(work: Sequence[Coroutine[object, object, T]]) -> list[T]:
    """Run side by side; the first error stops the others and is the one that is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
