"""Nouns to messages. Enum values travel by name: ours are the proto's without their prefix."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_edit_service_pb2 as service_pb
from imageedit.v1 import image_pb2, model_pb2, task_pb2
from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.model import Model
from imageedit_server.core.request import BodyProfile
from imageedit_server.core.task import Attempt, Event, Task
from imageedit_server.editing import Heartbeat

MOST_KEPT = 256
"""How many events are kept serialised: those that watchers of one task read at nearly the same time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_IMAGE_FIELDS = ("image_id", "media_type", "width", "height", "size_bytes", "source_url", "revised_prompt")
_PROFILE_FIELDS = ("gender", "height_cm", "weight_kg", "age", "skin_color", "body_type")
_ERROR_FIELDS = ("reason", "message", "provider_code", "provider_message", "retryable")


def task_message(task: Task) -> task_pb2.Task:
    """Convert a task; one that only validates has no id and no state."""
    request, status = task.request, task.status
    message = task_pb2.Task(
        task_id=task.task_id,
        kind=f"KIND_{request.kind}",
        state=f"STATE_{status.state}" if task.task_id else "STATE_UNSPECIFIED",
        seq=task.seq,
        progress_percent=status.progress_percent,
        stage=f"STAGE_{status.stage or 'UNSPECIFIED'}",
        user_id=request.user_id,
        model=request.model,
        provider=request.provider,
        prompt=request.prompt,
        size=status.size,
        n=request.n,
        base_model_task_id=request.base_model_task_id,
        angle=request.angle,
        labels=request.labels,
        request_id=request.request_id,
        images=map(image_message, status.images),
        previews=map(image_message, status.previews),
        billing=f"BILLING_{status.billing or 'UNSPECIFIED'}",
        attempts=map(_attempt_message, status.attempts),
        warnings=status.warnings,
        create_time=_timestamp(task.create_time),
        start_time=_timestamp(status.start_time),
        end_time=_timestamp(status.end_time),
        deadline=_timestamp(task.deadline),
    )
    if request.body_profile is not None:
        message.body_profile.CopyFrom(_profile_message(request.body_profile))
    if status.error is not None:
        message.error.CopyFrom(_error_message(status.error))
    return message


def watch_message(item: Event | Heartbeat) -> service_pb.WatchTaskResponse:
    """Convert an event or a heartbeat."""
    if isinstance(item, Heartbeat):
        return service_pb.WatchTaskResponse(heartbeat=service_pb.WatchTaskResponse.Heartbeat(seq=item.seq))
    event = task_pb2.TaskEvent(seq=item.seq, time=_timestamp(item.time), task=task_message(item.task))
    return service_pb.WatchTaskResponse(event=event)


class WatchAnswers:
    """What watchers are sent: one serialised form of each event, whoever watches it."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], bytes] = {}

    def of(self, item: Event | Heartbeat) -> bytes:
        """Return the serialised message of an event or a heartbeat."""
        if isinstance(item, Heartbeat):
            return watch_message(item).SerializeToString()
        key = (item.task.task_id, item.seq)
        if key not in self._kept:
            self._kept[key] = watch_message(item).SerializeToString()
            if len(self._kept) > MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]


def image_message(image: Image) -> image_pb2.Image:
    """Convert an image."""
    return image_pb2.Image(**{name: getattr(image, name) for name in _IMAGE_FIELDS})


def model_message(model: Model) -> model_pb2.Model:
    """Convert a model."""
    return model_pb2.Model(
        name=model.name,
        provider=model.provider,
        kinds=[f"KIND_{kind}" for kind in sorted(model.kinds)],
        option_family=model.option_family,
        max_prompt_chars=model.max_prompt_chars,
        min_images=model.min_images,
        max_images=model.max_images,
        max_reference_images=model.max_reference_images,
        mask=f"MASK_{model.mask}",
        sizes=model.sizes,
        max_n=model.max_n,
        max_image_bytes=model.max_image_bytes,
        media_types=model.media_types,
        submit_safety=f"SUBMIT_SAFETY_{model.submit_safety}",
        shutdown_date=model.shutdown_date.isoformat() if model.shutdown_date else "",
    )


@lru_cache(MOST_KEPT)
def _attempt_message(attempt: Attempt) -> task_pb2.Attempt:
    message = task_pb2.Attempt(
        number=attempt.number,
        provider=attempt.provider,
        vendor_task_id=attempt.vendor_task_id,
        vendor_request_id=attempt.vendor_request_id,
        outcome=f"OUTCOME_{attempt.outcome}",
        billing=f"BILLING_{attempt.billing}",
        submit_time=_timestamp(attempt.submit_time),
        end_time=_timestamp(attempt.end_time),
        late_images=map(image_message, attempt.late_images),
        usage=attempt.usage,
    )
    if attempt.answer is not None:
        message.answer.CopyFrom(_answer_message(attempt.answer))
    if attempt.error is not None:
        message.error.CopyFrom(_error_message(attempt.error))
    return message


def _answer_message(answer: AnswerHead) -> task_pb2.Answer:
    return task_pb2.Answer(
        status=answer.status,
        media_type=answer.media_type,
        size_bytes=answer.size_bytes,
        time=_timestamp(answer.time),
        kept=answer.kept,
    )


def _profile_message(profile: BodyProfile) -> task_pb2.BodyProfile:
    return task_pb2.BodyProfile(**{name: getattr(profile, name) for name in _PROFILE_FIELDS})


def _error_message(error: Failure) -> task_pb2.TaskError:
    return task_pb2.TaskError(**{name: getattr(error, name) for name in _ERROR_FIELDS})


@lru_cache(MOST_KEPT)
def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    seconds, microseconds = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    return Timestamp(seconds=seconds, nanos=1000 * microseconds)
