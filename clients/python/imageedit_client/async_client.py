"""The async face: it sends, sleeps and hands on; what to send and when is shared with the sync face."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self, TypeVar, Unpack

import grpc

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2, model_pb2, task_pb2

from . import requests
from .channels import GivenChannel, LoopChannels
from .connection import DEFAULT_ADDRESS, Connection
from .downloads import DownloadCursor, PartialFile, Saved
from .errors import ImageEditError, InvalidArgument, translated
from .requests import DefaultModelSettings, EditSettings, State, TaskSettings
from .retry import Pace, Retry, Tries
from .streams import Cursor, StreamRetry
from .uploads import ImageInput, Upload, source_or_upload
from .watching import WatchCursor

if TYPE_CHECKING:
    from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceAsyncStub

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class AsyncClient:
    """A connection to an imageedit service, which may be made anywhere and used in any event loop.

    Each loop that calls has a connection of its own, made at its first call. Close the client in the loop
    that used it, best by `async with`; a call after that connects anew.

    Every method raises ImageEditError. UNAVAILABLE is retried, for 60 seconds unless `pace` says otherwise.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: bool = False,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
        api_key: str | None = None,
        channel: grpc.aio.Channel | None = None,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`address` is HOST:PORT; a `channel` is used instead of it and stays the caller's to close.

        A channel works in the one loop that it was made in.
        """
        connection = Connection(
            address=address,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            api_key=api_key,
        )
        if channel is None:
            connection.warn()
        self._hint = connection.hint if channel is None else None
        self._channels = LoopChannels(_connect_to(connection)) if channel is None else GivenChannel(channel)
        self._metadata = connection.metadata()
        self._pace = pace or Pace()
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    @property
    def channel(self) -> grpc.aio.Channel:
        """The running loop's, for stubs of other services; a key is not in it. `close` ends their calls too.

        Raises RuntimeError where no loop runs, or in a child that was forked under one.
        """
        return self._channels.line.channel

    _channel = channel
    """Its name before it was public."""

    async def close(self) -> None:
        """Ends all calls of the running loop. Does nothing to a channel that was handed in."""
        await self._channels.close()

    async def edit_image(
        self,
        prompt: str,
        images: Iterable[ImageInput],
        *,
        mask: ImageInput | None = None,
        reference_images: Iterable[ImageInput] = (),
        **settings: Unpack[EditSettings],
    ) -> task_pb2.Task:
        """Starts an edit; uploads files and bytes first. The task is durable when this returns."""
        request = requests.edit_image(prompt, settings)
        request.images.extend([await self._source(each) for each in images])
        request.reference_images.extend([await self._source(each) for each in reference_images])
        if mask is not None:
            request.mask.CopyFrom(await self._source(mask))
        return (await self._call(self._stub.EditImage, request)).task

    async def create_model_edit(
        self, base_model_task_id: str, edit_instructions: str, **settings: Unpack[TaskSettings]
    ) -> task_pb2.Task:
        """Starts an edit of a default model; `user_id` is required."""
        request = requests.create_model_edit(base_model_task_id, edit_instructions, settings)
        return (await self._call(self._stub.CreateModelEdit, request)).task

    async def create_default_model(
        self, image: ImageInput, **settings: Unpack[DefaultModelSettings]
    ) -> task_pb2.Task:
        """Makes the picture that create_model_edit starts from; `user_id` is required."""
        request = requests.create_default_model(settings)
        request.image.CopyFrom(await self._source(image))
        return (await self._call(self._stub.CreateDefaultModel, request)).task

    async def watch(self, task_id: str, *, after_seq: int = 0) -> AsyncGenerator[task_pb2.TaskEvent, None]:
        """Yields every event once and in order, to the terminal one; broken streams are resumed unseen."""
        cursor = WatchCursor(task_id, after_seq, self._pace)
        async with aclosing(self._follow(self._stub.WatchTask, cursor)) as events:
            async for event in events:
                if event is not None:
                    yield event

    async def wait(self, task_id: str) -> task_pb2.Task:
        """Follows the task to its end and answers it, succeeded or not; see succeeded()."""
        async for event in self.watch(task_id):
            last = event
        return last.task

    async def get(self, task_id: str) -> task_pb2.Task:
        """The task as it is now."""
        return (await self._call(self._stub.GetTask, service_pb2.GetTaskRequest(task_id=task_id))).task

    async def cancel(self, task_id: str) -> task_pb2.Task:
        """Ends the task if it is not finished; its billing says who pays."""
        return (await self._call(self._stub.CancelTask, service_pb2.CancelTaskRequest(task_id=task_id))).task

    async def delete(self, task_id: str) -> None:
        """Erases a finished task, with its images that no other task needs; their bytes are gone then.

        Raises NotFound for one that is erased already, also by a try of this call whose answer was lost.
        """
        await self._call(self._stub.DeleteTask, service_pb2.DeleteTaskRequest(task_id=task_id))

    async def delete_image(self, image_id: str) -> None:
        """Erases an image that no task needs; its bytes are gone then. Raises NotFound as `delete` does."""
        await self._call(self._stub.DeleteImage, service_pb2.DeleteImageRequest(image_id=image_id))

    async def list_models(self) -> tuple[model_pb2.Model, ...]:
        """The models that can be used now, with their limits."""
        return tuple((await self._call(self._stub.ListModels, service_pb2.ListModelsRequest())).models)

    async def list(
        self, *, user_id: str = "", states: Iterable[State] = (), page_size: int = 0
    ) -> AsyncIterator[task_pb2.Task]:
        """Yields the tasks, newest first; asks for the next page when it is needed."""
        request = requests.list_tasks(user_id, states, page_size)
        while True:
            page = await self._call(self._stub.ListTasks, request)
            for task in page.tasks:
                yield task
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def upload(self, picture: Path | bytes) -> image_pb2.Image:
        """Stores a picture; the same bytes always answer the same image. Raises OSError for the file."""
        return await self._upload(await asyncio.to_thread(Upload, picture))

    async def download(self, image_id: str) -> bytes:
        """The bytes of an image, checked against its SHA-256."""
        sink = io.BytesIO()
        await self._download(image_id, sink)
        return sink.getvalue()

    async def download_to(self, image_id: str, path: Path) -> Saved:
        """Writes the image to `path`, or into it when it is a folder; whole or not at all."""
        with PartialFile(path) as partial:
            return partial.keep(await self._download(image_id, partial.sink))

    @property
    def _stub(self) -> "ImageEditServiceAsyncStub":
        return self._channels.line.stub

    async def _source(self, image: ImageInput) -> image_pb2.ImageSource:
        source = await asyncio.to_thread(source_or_upload, image)
        if isinstance(source, Upload):
            return image_pb2.ImageSource(image_id=(await self._upload(source)).image_id)
        return source

    async def _upload(self, upload: Upload) -> image_pb2.Image:
        tries = StreamRetry(self._pace, try_seconds=self._pace.call_seconds + upload.extra_seconds())
        method = self._stub.UploadImage
        try:
            return (await self._try(lambda **how: method(upload.messages(), **how), tries)).image
        except InvalidArgument as refusal:
            upload.name_in(refusal)
            raise

    async def _download(self, image_id: str, sink: BinaryIO) -> image_pb2.Image:
        cursor = DownloadCursor(image_id, sink, self._pace)
        async for _ in self._follow(self._stub.DownloadImage, cursor):
            pass
        return cursor.image

    async def _call(self, method: Callable[..., Awaitable[Answer]], request: object) -> Answer:
        tries = Retry(self._pace, self._pace.call_seconds)
        return await self._try(lambda **how: method(request, **how), tries)

    async def _try(self, send: Callable[..., Awaitable[Answer]], tries: Tries) -> Answer:
        while True:
            try:
                return await send(timeout=tries.try_seconds, metadata=self._metadata)
            except grpc.RpcError as error:
                await self._sleep(tries.delay_after(await self._translated(error)))

    async def _follow(
        self, method: Callable[..., Any], cursor: Cursor[Any, Item]
    ) -> AsyncGenerator[Item, None]:
        while not cursor.finished:
            stream = method(cursor.request(), timeout=cursor.try_seconds, metadata=self._metadata)
            try:
                async for response in stream:
                    yield cursor.accept(response)
                    if cursor.finished:
                        return
                cursor.ended()
            except (grpc.RpcError, ImageEditError) as error:
                await self._sleep(cursor.resume_after(await self._translated(error)))
            finally:
                stream.cancel()

    async def _translated(self, error: grpc.RpcError | ImageEditError) -> ImageEditError:
        if isinstance(error, ImageEditError):
            return error
        # A hint may have to ask the server, which would hold up the loop.
        return await asyncio.to_thread(translated, error, self._hint)


def _connect_to(connection: Connection) -> Callable[[], grpc.aio.Channel]:
    # What the files hold is read now, so that one that is missing is told where the client is made.
    credentials = connection.credentials()
    where, options = connection.address, connection.options()
    if credentials is None:
        return lambda: grpc.aio.insecure_channel(where, options=options)
    return lambda: grpc.aio.secure_channel(where, credentials, options=options)
