"""The tables of the core are total, and say what DESIGN says."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import grpc
import pytest

from imageedit.v1 import image_edit_service_pb2 as service_pb
from imageedit.v1 import model_pb2, task_pb2
from imageedit_server.core.charge import Billing
from imageedit_server.core.errors import (
    Code,
    FailureReason,
    Reason,
    Refusal,
    Violation,
    image_not_found,
    invalid,
    refuse_fields,
    task_not_found,
)
from imageedit_server.core.fields import MODEL_EDIT_SIZES
from imageedit_server.core.model import MaskUse, SubmitSafety
from imageedit_server.core.options import Options
from imageedit_server.core.request import PROMPT_FIELDS, Kind, OnUnknown, image_field
from imageedit_server.core.sizes import parse_size
from imageedit_server.core.task import (
    OPEN_STATES,
    TASK_ID,
    TRANSITIONS,
    Outcome,
    Stage,
    State,
    new_task_id,
)
from imageedit_testing.proto_paths import REQUESTS, is_path_of

DESIGN = (Path(__file__).parents[2] / "docs" / "design.md").read_text()

CODES = {
    Code.INVALID_ARGUMENT: (
        "INVALID_FIELD UNKNOWN_MODEL OPTION_NOT_SUPPORTED IMAGE_UNDECODABLE IMAGE_TOO_LARGE URL_REFUSED"
        " INSTRUCTION_NOT_UNDERSTOOD MALFORMED_REQUEST"
    ),
    Code.NOT_FOUND: "TASK_NOT_FOUND IMAGE_NOT_FOUND",
    Code.FAILED_PRECONDITION: (
        "REQUEST_ID_REUSED BASE_MODEL_NOT_READY BASE_MODEL_ELSEWHERE SOURCE_NOT_READY TASK_NOT_FINISHED"
        " IMAGE_IN_USE"
    ),
    Code.OUT_OF_RANGE: "SEQ_OUT_OF_RANGE OFFSET_OUT_OF_RANGE",
    Code.RESOURCE_EXHAUSTED: "WATCH_LIMIT SLOW_CONSUMER QUOTA_EXCEEDED STORAGE_FULL",
    Code.UNAUTHENTICATED: "CREDENTIALS_MISSING CREDENTIALS_INVALID",
    Code.PERMISSION_DENIED: "NOT_ALLOWED",
    Code.UNAVAILABLE: "DRAINING STORE_BUSY",
    Code.DATA_LOSS: "IMAGE_CORRUPT",
    Code.INTERNAL: "INTERNAL_ERROR",
}
"""DESIGN §2, Errors: the table of docs/design.md says the same."""

FAILURE_REASONS = (
    "INSTRUCTION_NOT_UNDERSTOOD CONTENT_REFUSED PROVIDER_REJECTED PROVIDER_CREDENTIALS PROVIDER_CREDITS"
    " PROVIDER_RATE_LIMITED PROVIDER_UNAVAILABLE PROVIDER_DISABLED PROVIDER_FAILED PROVIDER_BAD_RESULT"
    " PROVIDER_LOST_TASK RESULT_EXPIRED SUBMIT_OUTCOME_UNKNOWN DEADLINE_EXCEEDED URL_REFUSED"
    " INPUT_FETCH_FAILED IMAGE_UNDECODABLE IMAGE_TOO_LARGE INVALID_FIELD"
)
"""DESIGN §2, after the table."""

EXITS = {
    State.QUEUED: {State.RUNNING, State.FAILED, State.CANCELLED},
    State.RUNNING: {State.RUNNING, State.QUEUED, State.SUCCEEDED, State.FAILED, State.CANCELLED},
    State.SUCCEEDED: set(),
    State.FAILED: set(),
    State.CANCELLED: set(),
}
"""DESIGN §4, the drawing."""

PROTO_ENUMS: list[tuple[type[StrEnum], Any, str]] = [
    (Kind, task_pb2.Task.Kind, "KIND_"),
    (State, task_pb2.Task.State, "STATE_"),
    (Stage, task_pb2.Task.Stage, "STAGE_"),
    (Billing, task_pb2.Task.Billing, "BILLING_"),
    (Outcome, task_pb2.Attempt.Outcome, "OUTCOME_"),
    (OnUnknown, service_pb.OnUnknown, "ON_UNKNOWN_"),
    (MaskUse, model_pb2.Model.Mask, "MASK_"),
    (SubmitSafety, model_pb2.Model.SubmitSafety, "SUBMIT_SAFETY_"),
]


# States


def test_every_state_has_its_exits_and_no_others() -> None:
    assert TRANSITIONS == EXITS
    assert set(TRANSITIONS) == set(State)


def test_a_terminal_state_has_no_exit_and_an_open_one_can_end() -> None:
    terminal = {State.SUCCEEDED, State.FAILED, State.CANCELLED}
    assert {state for state in State if state.terminal} == terminal
    assert set(OPEN_STATES) == set(State) - terminal
    for state in OPEN_STATES:
        assert {State.FAILED, State.CANCELLED} <= TRANSITIONS[state]


def test_only_running_can_succeed() -> None:
    assert {state for state in State if State.SUCCEEDED in TRANSITIONS[state]} == {State.RUNNING}


@pytest.mark.parametrize(
    ("words", "proto", "prefix"), PROTO_ENUMS, ids=lambda value: getattr(value, "__name__", "")
)
def test_core_and_proto_have_the_same_words(words: type[StrEnum], proto: Any, prefix: str) -> None:
    """A word on one side only would be lost, or shown as unspecified."""
    told = {name.removeprefix(prefix) for name in proto.keys()} - {"UNSPECIFIED"}  # noqa: SIM118
    assert told == {word.value for word in words} == set(words.__members__)


# Errors


def test_every_reason_travels_under_the_code_of_design() -> None:
    told = {reason: code for code, reasons in CODES.items() for reason in reasons.split()}
    assert {reason.name: reason.code for reason in Reason} == told


def test_design_tells_every_reason_under_its_code_and_every_failure_reason() -> None:
    section = DESIGN.partition("### Errors")[2].partition("## 3.")[0]
    rows = re.findall(r"^\| ([A-Z_]+) \| ([A-Z_, ]+)", section, re.MULTILINE)
    assert {Code(code): set(re.findall(r"[A-Z_]{3,}", reasons)) for code, reasons in rows} == {
        code: set(reasons.split()) for code, reasons in CODES.items()
    }
    after = section.rpartition("|")[2]
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", after)) == set(FAILURE_REASONS.split())


def test_reasons_are_not_aliases_of_each_other() -> None:
    """Enum members of one value would become one member."""
    assert len(Reason) == len(Reason.__members__)


def test_every_code_is_used_and_is_one_of_grpc() -> None:
    assert set(CODES) == set(Code) == {reason.code for reason in Reason}
    assert {code.value for code in Code} <= set(grpc.StatusCode.__members__)


def test_every_failure_reason_of_design_exists_and_no_other() -> None:
    assert {reason.value for reason in FailureReason} == set(FAILURE_REASONS.split())
    assert all(reason.value == reason.name for reason in FailureReason)


def test_a_refusal_names_every_field_in_one_sentence() -> None:
    violations = [Violation(field="n", description="is 0"), Violation(field="size", description="is 'x'")]
    refusal = refuse_fields(iter(violations))
    assert (refusal.reason, str(refusal)) == (Reason.INVALID_FIELD, "n is 0; size is 'x'")
    assert refusal.message == str(refusal)
    assert refusal.violations == tuple(violations)
    assert refusal.retry_after_seconds is None


def test_one_field_may_be_refused_for_a_reason_of_its_own() -> None:
    refusal = invalid("model", "is unknown", Reason.UNKNOWN_MODEL)
    assert (refusal.reason, refusal.message) == (Reason.UNKNOWN_MODEL, "model is unknown")
    assert refusal.violations == (Violation(field="model", description="is unknown"),)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [(task_not_found(), Reason.TASK_NOT_FOUND), (image_not_found(), Reason.IMAGE_NOT_FOUND)],
    ids=["task", "image"],
)
def test_what_is_not_found_is_not_described(refusal: Refusal, reason: Reason) -> None:
    """P22: unknown, malformed and foreign are answered alike."""
    assert (refusal.reason, refusal.violations) == (reason, ())


# Names


def test_every_kind_has_its_request_and_names_its_pictures_as_that_does() -> None:
    assert set(PROMPT_FIELDS) == set(REQUESTS) == set(Kind)
    assert is_path_of(Kind.EDIT_IMAGE, image_field(Kind.EDIT_IMAGE, 3))
    assert is_path_of(Kind.DEFAULT_MODEL, image_field(Kind.DEFAULT_MODEL, 0))
    for kind in (Kind.EDIT_IMAGE, Kind.MODEL_EDIT):  # a default model has no prompt
        assert is_path_of(kind, PROMPT_FIELDS[kind])


def test_every_family_of_options_is_the_name_of_its_field() -> None:
    """A refusal of foreign options names the family as the field."""
    families = {options().family for options in Options.__args__}
    told = {field.name for field in service_pb.EditImageRequest.DESCRIPTOR.oneofs_by_name["options"].fields}
    assert families == told


def test_every_size_of_a_model_edit_is_a_ratio() -> None:
    shapes = [parse_size(size) for size in MODEL_EDIT_SIZES]
    assert all(shape is not None and shape.is_ratio for shape in shapes)


def test_a_task_id_is_128_random_bits() -> None:
    ids = {new_task_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(TASK_ID.fullmatch(task_id) and len(task_id) == len("task_") + 32 for task_id in ids)


@pytest.mark.parametrize(
    "path",
    ["images[0].url", "images", "labels", "openai.quality", "mask.task_output.index", "reference_images[15]"],
)
def test_the_walker_finds_a_path(path: str) -> None:
    assert is_path_of(Kind.EDIT_IMAGE, path)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "image",
        "images.url",
        "images[0].uri",
        "prompt[0]",
        "labels[0]",
        "images[-1]",
        "mask[0].url",
        "prompt.x",
    ],
)
def test_the_walker_finds_no_other(path: str) -> None:
    assert not is_path_of(Kind.EDIT_IMAGE, path)
