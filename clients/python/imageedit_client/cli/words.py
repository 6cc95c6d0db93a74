"""Tasks in words for people."""

from collections.abc import Iterator, Sequence
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp

from imageedit.v1 import image_pb2, model_pb2, task_pb2
from imageedit_client.watching import TERMINAL

from .text import shown

Task = task_pb2.Task

STATES: dict[int, str] = {
    Task.STATE_UNSPECIFIED: "checked",
    Task.STATE_QUEUED: "queued",
    Task.STATE_RUNNING: "running",
    Task.STATE_SUCCEEDED: "succeeded",
    Task.STATE_FAILED: "failed",
    Task.STATE_CANCELLED: "cancelled",
}
STAGES: dict[int, str] = {
    Task.STAGE_PREPARING: "preparing",
    Task.STAGE_SUBMITTING: "submitting",
    Task.STAGE_WAITING: "working",
    Task.STAGE_SUBMIT_UNKNOWN: "waiting to learn whether the vendor took it",
    Task.STAGE_DOWNLOADING: "fetching the results",
}
BILLINGS: dict[int, str] = {
    Task.BILLING_NOT_CHARGED: "not charged",
    Task.BILLING_CHARGED: "charged",
    Task.BILLING_MAY_HAVE_BEEN_CHARGED: "may have been charged",
}

# The commands that make such tasks.
COMMANDS: dict[int, str] = {
    Task.KIND_EDIT_IMAGE: "edit",
    Task.KIND_MODEL_EDIT: "model-edit",
    Task.KIND_DEFAULT_MODEL: "default-model",
}


def progress(task: Task) -> str:
    """Where the task stands, in a word or two."""
    return STAGES.get(task.stage) or STATES.get(task.state, "unknown")


def event_line(event: task_pb2.TaskEvent) -> str:
    """One event on one line: local time, seq, percent, words."""
    clock = _local(event.time, "%H:%M:%S")
    return f"{clock}  {event.seq:>3}  {event.task.progress_percent:>3}%  {progress(event.task)}"


def ending(task: Task) -> str:
    """How a finished task ended: why if it failed, and who pays."""
    error = task.error
    reason = f": {error.message.rstrip('.')} ({error.reason})" if error.reason else ""
    vendor = f"; the vendor said: {said}" if (said := _vendor_words(error)) else ""
    billing = f"; {BILLINGS[task.billing]}" if task.billing in BILLINGS else ""
    return f"the task {STATES.get(task.state, 'unknown')}{reason}{vendor}{billing}"


def _vendor_words(error: task_pb2.TaskError) -> str:
    """The vendor's own words, with its code where they do not hold it."""
    code, message = error.provider_code, error.provider_message
    return " ".join(filter(None, [message, f"[{code}]" if code and code not in message else ""]))


def outcome(task: Task) -> str:
    """Where the task stands, with who pays when it is finished."""
    return ending(task) if task.state in TERMINAL else f"the task is {progress(task)}"


def plan(task: Task) -> str:
    """What a checked request would do."""
    return "; ".join([f"{task.model or 'the picture itself'}, size {task.size or 'auto'}", *task.warnings])


def portrait(task: Task) -> Sequence[str]:
    """The whole task, one fact a line."""
    facts = {
        "task": task.task_id,
        "state": f"{progress(task)} {task.progress_percent}%",
        "kind": _word(Task.Kind.Name(task.kind), "KIND_"),
        "model": task.model,
        "provider": task.provider,
        "prompt": task.prompt,
        "size": task.size,
        "user": task.user_id,
        "base": task.base_model_task_id,
        "labels": " ".join(f"{key}={value}" for key, value in sorted(task.labels.items())),
        "created": local_time(task.create_time),
        "ended": local_time(task.end_time),
        "billing": BILLINGS.get(task.billing, ""),
        "error": ending(task) if task.state == Task.STATE_FAILED else "",
    }
    pictures = [("image", image_line(image)) for image in task.images]
    warnings = [("warning", warning) for warning in task.warnings]
    told = [fact for attempt in task.attempts for fact in _told(attempt)]
    known = [(name, fact) for name, fact in [*facts.items(), *pictures, *warnings, *told] if fact]
    return [f"{name:<9} {fact}" for name, fact in known]


def _told(attempt: task_pb2.Attempt) -> Iterator[tuple[str, str]]:
    """What the vendor sent to a paid call, and what it says that it used."""
    if attempt.HasField("answer"):
        answer = attempt.answer
        kept = "; nobody could read it, it is kept" if answer.kept else ""
        label = answer.media_type or "without a label"
        yield "answer", f"{answer.status} {label} {answer.size_bytes} bytes from {attempt.provider}{kept}"
    if attempt.usage:
        yield "usage", " ".join(f"{name}={figure}" for name, figure in sorted(attempt.usage.items()))


def image_line(image: image_pb2.Image) -> str:
    """One stored picture on one line."""
    return f"{image.image_id} {image.media_type} {image.width}x{image.height} {image.size_bytes} bytes"


def row(task: Task) -> Sequence[str]:
    """The task in a list."""
    state = STATES.get(task.state, "unknown")
    return task.task_id, state, local_time(task.create_time), " ".join(shown(task.prompt).split())


def model_row(model: model_pb2.Model) -> Sequence[str]:
    """The model in a list."""
    return (
        model.name,
        model.provider,
        " ".join(COMMANDS.get(kind, "") for kind in model.kinds),
        f"{model.min_images}-{model.max_images}",
        _word(model_pb2.Model.Mask.Name(model.mask), "MASK_"),
        f"1-{model.max_n}",
        model.option_family,
        _word(model_pb2.Model.SubmitSafety.Name(model.submit_safety), "SUBMIT_SAFETY_"),
        model.shutdown_date,
        " ".join(model.sizes),
    )


def local_time(when: Timestamp) -> str:
    """Date and time where the reader is; empty when unset."""
    return _local(when, "%Y-%m-%d %H:%M") if when.seconds else ""


def _local(when: Timestamp, form: str) -> str:
    return when.ToDatetime(UTC).astimezone().strftime(form)


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower().replace("_", "-")
