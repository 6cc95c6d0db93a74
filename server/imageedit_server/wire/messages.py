"""Nouns to messages. Enum values travel by name: ours are the proto's without their prefix."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_edit_service_pb2 as service_pb
from imageedit.v1 import image_pb2, model_pb2, task_pb2
from imageedit_server.core.answer import AnswerHead
from imageedit_server.core.charge import Billing
from imageedit_server.core.failure import Failure
from imageedit_server.core.image import Image
from imageedit_server.core.model import Model
from imageedit_server.core.request import BodyProfile
from imageedit_server.core.task import Attempt, Event, Stage, State, Status, Task
from imageedit_server.editing import Heartbeat
from imageedit_server.runtime.recent import Recent

MOST_KEPT = 256
"""How many attempts and times are kept as messages: one is in many events."""
KEPT_BYTES = 8 * 1024 * 1024
"""How much is kept of serialised events: those that watchers of one task read at nearly the same time."""
FIXED_BYTES = 4 * 1024 * 1024
"""How much is kept of what the messages of one task have in common."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATES: dict[State, Any] = {state: task_pb2.Task.State.Value(f"STATE_{state}") for state in State}
_STAGES: dict[Stage, Any] = {stage: task_pb2.Task.Stage.Value(f"STAGE_{stage}") for stage in Stage}
_BILLINGS: dict[Billing, Any] = {
    billing: task_pb2.Task.Billing.Value(f"BILLING_{billing}") for billing in Billing
}
_IMAGE_FIELDS = ("image_id", "media_type", "width", "height", "size_bytes", "source_url", "revised_prompt")
_PROFILE_FIELDS = ("gender", "height_cm", "weight_kg", "age", "skin_color", "body_type")
_ERROR_FIELDS = ("reason", "message", "provider_code", "provider_message", "retryable")


def task_message(task: Task) -> task_pb2.Task:
    """Convert a task; one that only validates has no id and no state."""
    message = task_pb2.Task()
    _fill(message, task)
    return message


def _fill(message: task_pb2.Task, task: Task) -> None:
    """Make an empty message that of a task; where it lies it is not copied to afterwards."""
    message.CopyFrom(_FIXED.of(task))
    message.seq = task.seq
    if task.task_id:
        message.state = _STATES[task.status.state]
    _fill_progress(message, task.status)
    _fill_results(message, task.status)


def _fill_progress(message: task_pb2.Task, status: Status) -> None:
    message.progress_percent = status.progress_percent
    message.size = status.size
    if status.stage:
        message.stage = _STAGES[status.stage]
    if status.start_time:
        _set_time(message.start_time, status.start_time)
    if status.end_time:
        _set_time(message.end_time, status.end_time)


def _fill_results(message: task_pb2.Task, status: Status) -> None:
    if status.images:
        message.images.extend(map(image_message, status.images))
    if status.previews:
        message.previews.extend(map(image_message, status.previews))
    if status.attempts:
        message.attempts.extend(map(_attempt_message, status.attempts))
    if status.warnings:
        message.warnings.extend(status.warnings)
    if status.billing:
        message.billing = _BILLINGS[status.billing]
    if status.error is not None:
        message.error.CopyFrom(_error_message(status.error))


class _FixedParts:
    """What all messages of a task have in common, made once for those of nearly the same time."""

    def __init__(self) -> None:
        self._made: Recent[str, tuple[Task, task_pb2.Task]] = Recent(
            FIXED_BYTES, size=lambda made: made[1].ByteSize()
        )

    def of(self, task: Task) -> task_pb2.Task:
        """Return the part of a task's message that its request makes."""
        made = self._made.get(task.task_id)
        if made is None or not _is_same_but_status(made[0], task):
            made = task, _fixed_part(task)
            self._made.put(task.task_id, made)
        return made[1]


_FIXED = _FixedParts()


def _is_same_but_status(one: Task, other: Task) -> bool:
    return (
        one.request == other.request
        and one.deadline == other.deadline
        and one.create_time == other.create_time
    )


def _fixed_part(task: Task) -> task_pb2.Task:
    request = task.request
    message = task_pb2.Task(
        task_id=task.task_id,
        kind=f"KIND_{request.kind}",
        user_id=request.user_id,
        model=request.model,
        provider=request.provider,
        prompt=request.prompt,
        n=request.n,
        base_model_task_id=request.base_model_task_id,
        angle=request.angle,
        labels=request.labels,
        request_id=request.request_id,
        create_time=_timestamp(task.create_time),
        deadline=_timestamp(task.deadline),
    )
    if request.body_profile is not None:
        message.body_profile.CopyFrom(_profile_message(request.body_profile))
    return message


def watch_message(item: Event | Heartbeat) -> service_pb.WatchTaskResponse:
    """Convert an event or a heartbeat."""
    if isinstance(item, Heartbeat):
        return service_pb.WatchTaskResponse(heartbeat=service_pb.WatchTaskResponse.Heartbeat(seq=item.seq))
    message = service_pb.WatchTaskResponse()
    event = message.event
    event.seq = item.seq
    _set_time(event.time, item.time)
    _fill(event.task, item.task)
    return message


class WatchAnswers:
    """What watchers are sent: one serialised form of each event, whoever watches it."""

    def __init__(self) -> None:
        self._kept: Recent[tuple[str, int], bytes] = Recent(KEPT_BYTES, size=len)

    def of(self, item: Event | Heartbeat) -> bytes:
        """Return the serialised message of an event or a heartbeat."""
        if isinstance(item, Heartbeat):
            return watch_message(item).SerializeToString()
        key = (item.task.task_id, item.seq)
        kept = self._kept.get(key)
        if kept is None:
            kept = watch_message(item).SerializeToString()
            self._kept.put(key, kept)
        return kept


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
    message = Timestamp()
    _set_time(message, time)
    return message


def _set_time(message: Timestamp, time: datetime) -> None:
    message.seconds, microseconds = divmod((time - _EPOCH) // _MICROSECOND, 1_000_000)
    message.nanos = 1000 * microseconds
