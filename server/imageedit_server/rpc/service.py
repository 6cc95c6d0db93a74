"""The handlers of ImageEditService: convert, call, convert.

A watch begins after its cursor, the request's ``after_seq``, and one that breaks off ends with where it was.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import accumulate
from typing import Any

import grpc

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_edit_service_pb2_grpc as pb_grpc
from imageedit.v1 import task_pb2
from imageedit_server.access.inflight import BytesInFlight
from imageedit_server.access.uploads import UploadPlaces
from imageedit_server.access.watches import WatchBudget, lifetime, too_old
from imageedit_server.core.request import Draft
from imageedit_server.core.task import Event, Task
from imageedit_server.editing import Heartbeat, UseCases
from imageedit_server.rpc.streams import PatientStream
from imageedit_server.rpc.uploads import Upload
from imageedit_server.telemetry.metrics import DOWNLOADED_BYTES, WATCH_LAG_SECONDS
from imageedit_server.wire.conversion import (
    default_model_draft,
    edit_image_draft,
    inline_bytes,
    model_edit_draft,
    states_of,
    user_filter_of,
)
from imageedit_server.wire.messages import WatchAnswers, image_message, model_message, task_message

KIB = 1024
MAX_PAGE_BYTES = 3 * 1024 * KIB
LAST_SEQ = "last-seq"
"""The trailer of a broken watch: the cursor to resume after, ``after_seq`` of the next one (P12)."""

Context = grpc.aio.ServicerContext[Any, Any]


class ImageEditService(pb_grpc.ImageEditServiceServicer):
    """Serves the use cases. ``tenant`` says whose call is running."""

    def __init__(
        self,
        use_cases: UseCases,
        watches: WatchBudget,
        uploads: UploadPlaces,
        in_flight: BytesInFlight,
        tenant: Callable[[], str],
    ) -> None:
        self._creating = use_cases.creating
        self._tasks = use_cases.tasks
        self._watching = use_cases.watching
        self._pictures = use_cases.pictures
        self._erasing = use_cases.erasing
        self._catalog = use_cases.catalog
        self._watches = watches
        self._tenant = tenant
        self._uploads = uploads
        self._in_flight = in_flight
        self._watch_answers = WatchAnswers()

    async def EditImage(self, request: pb.EditImageRequest, context: Context) -> pb.EditImageResponse:
        with self._in_flight.spend(self._tenant(), inline_bytes(request)):
            draft = edit_image_draft(request)
            del request  # nobody else holds it: its pictures are in the draft
            task = await self._create(draft)
        return pb.EditImageResponse(task=task_message(task))

    async def CreateModelEdit(
        self, request: pb.CreateModelEditRequest, context: Context
    ) -> pb.CreateModelEditResponse:
        task = await self._creating.create(self._tenant(), model_edit_draft(request))
        return pb.CreateModelEditResponse(task=task_message(task))

    async def CreateDefaultModel(
        self, request: pb.CreateDefaultModelRequest, context: Context
    ) -> pb.CreateDefaultModelResponse:
        with self._in_flight.spend(self._tenant(), inline_bytes(request)):
            draft = default_model_draft(request)
            del request
            task = await self._create(draft)
        return pb.CreateDefaultModelResponse(task=task_message(task))

    async def _create(self, draft: Draft) -> Task:
        """Create a task; pictures that came inline have places among the uploads."""
        tenant = self._tenant()
        if not draft.content_bytes:
            return await self._creating.create(tenant, draft)
        async with self._uploads.take(tenant):
            return await self._creating.create(tenant, draft)

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.GetTaskResponse:
        task = await self._tasks.get(self._tenant(), request.task_id)
        return pb.GetTaskResponse(task=task_message(task))

    async def ListTasks(self, request: pb.ListTasksRequest, context: Context) -> pb.ListTasksResponse:
        page_size = request.page_size
        while True:
            page = await self._tasks.list(
                self._tenant(),
                user_id=user_filter_of(request.user_id),
                states=states_of(request.states),
                page_size=page_size,
                page_token=request.page_token,
            )
            tasks = list(map(task_message, page.tasks))
            page_size = _fitting(tasks)
            if page_size == len(tasks):
                return pb.ListTasksResponse(tasks=tasks, next_page_token=page.next_token)

    async def CancelTask(self, request: pb.CancelTaskRequest, context: Context) -> pb.CancelTaskResponse:
        task = await self._tasks.cancel(self._tenant(), request.task_id)
        return pb.CancelTaskResponse(task=task_message(task))

    async def DeleteTask(self, request: pb.DeleteTaskRequest, context: Context) -> pb.DeleteTaskResponse:
        await self._erasing.delete_task(self._tenant(), request.task_id)
        return pb.DeleteTaskResponse()

    async def DeleteImage(self, request: pb.DeleteImageRequest, context: Context) -> pb.DeleteImageResponse:
        await self._erasing.delete_image(self._tenant(), request.image_id)
        return pb.DeleteImageResponse()

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=map(model_message, self._catalog.models()))

    async def WatchTask(  # type: ignore[override]  # the stubs know only handlers that yield
        self, request: pb.WatchTaskRequest, context: Context
    ) -> None:
        seq, since = request.after_seq, time.time()
        limit = asyncio.timeout(lifetime())
        try:
            with self._watches.spend(context.peer(), self._tenant()), PatientStream(context) as stream:
                events = self._watching.watch(self._tenant(), request.task_id, seq)
                async with limit, aclosing(events) as items:
                    async for item in items:
                        await stream.write(self._watch_answers.of(item))
                        _measure_lag(item, since)
                        seq = item.seq
        except BaseException as error:
            context.set_trailing_metadata(((LAST_SEQ, str(seq)),))
            if isinstance(error, TimeoutError) and limit.expired():
                raise too_old() from None
            raise

    async def UploadImage(
        self, requests: AsyncIterator[pb.UploadImageRequest], context: Context
    ) -> pb.UploadImageResponse:
        upload = Upload(requests)
        expected_sha256 = await upload.sha256()
        tenant = self._tenant()
        async with self._uploads.take(tenant) as pace:
            image = await self._pictures.upload(tenant, upload.chunks(pace), expected_sha256=expected_sha256)
        return pb.UploadImageResponse(image=image_message(image))

    async def DownloadImage(  # type: ignore[override]  # the stubs know only handlers that yield
        self, request: pb.DownloadImageRequest, context: Context
    ) -> None:
        image = await self._pictures.find(self._tenant(), request.image_id)
        chunks = self._pictures.read(image, request.offset)
        with PatientStream(context) as stream:
            await stream.write(pb.DownloadImageResponse(info=image_message(image)))
            async with aclosing(chunks):
                async for chunk in chunks:
                    await stream.write(pb.DownloadImageResponse(chunk=chunk))
                    DOWNLOADED_BYTES.inc(len(chunk))


def _measure_lag(item: Event | Heartbeat, since: float) -> None:
    """Measure how late an event is sent that is newer than its watch; an older one is only repeated."""
    if isinstance(item, Event) and (happened := item.time.timestamp()) >= since:
        WATCH_LAG_SECONDS.observe(time.time() - happened)


def _fitting(tasks: Sequence[task_pb2.Task]) -> int:
    """Return how many of the tasks fit into one message: prompts may be long, and a page short."""
    ends = accumulate(task.ByteSize() for task in tasks)
    return max(sum(end <= MAX_PAGE_BYTES for end in ends), min(len(tasks), 1))
