"""The sync face: it sends, sleeps and hands on; what to send and when is shared with the async face."""

import io
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO, Self, TypeVar, Unpack

import grpc

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2, model_pb2, task_pb2
from imageedit.v1.image_edit_service_pb2_grpc import ImageEditServiceStub

from . import requests
from .connection import DEFAULT_ADDRESS, Connection
from .downloads import DownloadCursor, PartialFile, Saved
from .errors import ImageEditError, InvalidArgument, translated
from .requests import DefaultModelSettings, EditSettings, State, TaskSettings
from .retry import Pace, Retry, Tries
from .streams import Cursor, StreamRetry
from .uploads import ImageInput, Upload, source_or_upload
from .watching import WatchCursor

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class Client:
    """A connection to an imageedit service. May be shared by threads; close it or use it as a context.

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
        channel: grpc.Channel | None = None,
        pace: Pace | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`address` is HOST:PORT; a `channel` is used instead of it and stays the caller's to close."""
        connection = Connection(
            address=address,
            tls=tls,
            ca_file=ca_file,
            cert_file=cert_file,
            key_file=key_file,
            api_key=api_key,
        )
        self._owns_channel = channel is None
        if channel is None:
            connection.warn()
        self._hint = connection.hint if channel is None else None
        self._channel = _open(connection) if channel is None else channel
        self._stub = ImageEditServiceStub(self._channel)
        self._metadata = connection.metadata()
        self._pace = pace or Pace()
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def channel(self) -> grpc.Channel:
        """For stubs of other services; a key is not in it. `close` ends their calls too."""
        return self._channel

    def close(self) -> None:
        """Ends all calls. Does nothing to a channel that was handed in."""
        if self._owns_channel:
            self._channel.close()

    def edit_image(
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
        request.images.extend(self._source(each) for each in images)
        request.reference_images.extend(self._source(each) for each in reference_images)
        if mask is not None:
            request.mask.CopyFrom(self._source(mask))
        return self._call(self._stub.EditImage, request).task

    def create_model_edit(
        self, base_model_task_id: str, edit_instructions: str, **settings: Unpack[TaskSettings]
    ) -> task_pb2.Task:
        """Starts an edit of a default model; `user_id` is required."""
        request = requests.create_model_edit(base_model_task_id, edit_instructions, settings)
        return self._call(self._stub.CreateModelEdit, request).task

    def create_default_model(
        self, image: ImageInput, **settings: Unpack[DefaultModelSettings]
    ) -> task_pb2.Task:
        """Makes the picture that create_model_edit starts from; `user_id` is required."""
        request = requests.create_default_model(settings)
        request.image.CopyFrom(self._source(image))
        return self._call(self._stub.CreateDefaultModel, request).task

    def watch(self, task_id: str, *, after_seq: int = 0) -> Generator[task_pb2.TaskEvent, None, None]:
        """Yields every event once and in order, to the terminal one; broken streams are resumed unseen."""
        cursor = WatchCursor(task_id, after_seq, self._pace)
        with closing(self._follow(self._stub.WatchTask, cursor)) as events:
            yield from (event for event in events if event is not None)

    def wait(self, task_id: str) -> task_pb2.Task:
        """Follows the task to its end and answers it, succeeded or not; see succeeded()."""
        for event in self.watch(task_id):
            last = event
        return last.task

    def get(self, task_id: str) -> task_pb2.Task:
        """The task as it is now."""
        return self._call(self._stub.GetTask, service_pb2.GetTaskRequest(task_id=task_id)).task

    def cancel(self, task_id: str) -> task_pb2.Task:
        """Ends the task if it is not finished; its billing says who pays."""
        return self._call(self._stub.CancelTask, service_pb2.CancelTaskRequest(task_id=task_id)).task

    def delete(self, task_id: str) -> None:
        """Erases a finished task, with its images that no other task needs; their bytes are gone then.

        Raises NotFound for one that is erased already, also by a try of this call whose answer was lost.
        """
        self._call(self._stub.DeleteTask, service_pb2.DeleteTaskRequest(task_id=task_id))

    def delete_image(self, image_id: str) -> None:
        """Erases an image that no task needs; its bytes are gone then. Raises NotFound as `delete` does."""
        self._call(self._stub.DeleteImage, service_pb2.DeleteImageRequest(image_id=image_id))

    def list_models(self) -> tuple[model_pb2.Model, ...]:
        """The models that can be used now, with their limits."""
        return tuple(self._call(self._stub.ListModels, service_pb2.ListModelsRequest()).models)

    def list(
        self, *, user_id: str = "", states: Iterable[State] = (), page_size: int = 0
    ) -> Iterator[task_pb2.Task]:
        """Yields the tasks, newest first; asks for the next page when it is needed."""
        request = requests.list_tasks(user_id, states, page_size)
        while True:
            page = self._call(self._stub.ListTasks, request)
            yield from page.tasks
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def upload(self, picture: Path | bytes) -> image_pb2.Image:
        """Stores a picture; the same bytes always answer the same image. Raises OSError for the file."""
        return self._upload(Upload(picture))

    def download(self, image_id: str) -> bytes:
        """The bytes of an image, checked against its SHA-256."""
        sink = io.BytesIO()
        self._download(image_id, sink)
        return sink.getvalue()

    def download_to(self, image_id: str, path: Path) -> Saved:
        """Writes the image to `path`, or into it when it is a folder; whole or not at all."""
        with PartialFile(path) as partial:
            return partial.keep(self._download(image_id, partial.sink))

    def _source(self, image: ImageInput) -> image_pb2.ImageSource:
        source = source_or_upload(image)
        if isinstance(source, Upload):
            return image_pb2.ImageSource(image_id=self._upload(source).image_id)
        return source

    def _upload(self, upload: Upload) -> image_pb2.Image:
        tries = StreamRetry(self._pace, try_seconds=self._pace.call_seconds + upload.extra_seconds())
        try:
            return self._try(lambda **how: self._stub.UploadImage(upload.messages(), **how), tries).image
        except InvalidArgument as refusal:
            upload.name_in(refusal)
            raise

    def _download(self, image_id: str, sink: BinaryIO) -> image_pb2.Image:
        cursor = DownloadCursor(image_id, sink, self._pace)
        for _ in self._follow(self._stub.DownloadImage, cursor):
            pass
        return cursor.image

    def _call(self, method: Callable[..., Answer], request: object) -> Answer:
        tries = Retry(self._pace, self._pace.call_seconds)
        return self._try(lambda **how: method(request, **how), tries)

    def _try(self, send: Callable[..., Answer], tries: Tries) -> Answer:
        while True:
            try:
                return send(timeout=tries.try_seconds, metadata=self._metadata)
            except grpc.RpcError as error:
                self._sleep(tries.delay_after(translated(error, self._hint)))

    def _follow(self, method: Callable[..., Any], cursor: Cursor[Any, Item]) -> Generator[Item, None, None]:
        while not cursor.finished:
            stream = method(cursor.request(), timeout=cursor.try_seconds, metadata=self._metadata)
            try:
                for response in stream:
                    yield cursor.accept(response)
                    if cursor.finished:
                        return
                cursor.ended()
            except (grpc.RpcError, ImageEditError) as error:
                self._sleep(cursor.resume_after(translated(error, self._hint)))
            finally:
                stream.cancel()


def _open(connection: Connection) -> grpc.Channel:
    credentials = connection.credentials()
    if credentials is None:
        return grpc.insecure_channel(connection.address, options=connection.options())
    return grpc.secure_channel(connection.address, credentials, options=connection.options())
