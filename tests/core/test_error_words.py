"""Every reason is in the contract, and a refusal says what its fields are (DESIGN §2, Errors)."""

import re
from pathlib import Path

import grpc
import pytest

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

PROTOS = Path(__file__).parents[2] / "protos" / "imageedit" / "v1"


def test_every_reason_has_one_code_that_grpc_knows() -> None:
    for reason in Reason:
        assert isinstance(reason.code, Code)
        assert reason.code.value in grpc.StatusCode.__members__
    assert {reason.code for reason in Reason} == set(Code)


def test_a_defect_is_never_unknown() -> None:
    assert "UNKNOWN" not in Code.__members__


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_in_the_contract(reason: Reason) -> None:
    """Clients switch on these words: the proto names each."""
    text = (PROTOS / "image_edit_service.proto").read_text()
    assert re.search(rf"\b{reason.name}\b", text)


def test_words_are_upper_snake() -> None:
    for word in (*Reason.__members__, *(reason.value for reason in FailureReason)):
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", word)


def test_a_refusal_of_fields_names_them_all() -> None:
    refusal = refuse_fields(
        [Violation(field="n", description="is 0"), Violation(field="size", description="x")]
    )
    assert refusal.message == str(refusal) == "n is 0; size x"
    assert [violation.field for violation in refusal.violations] == ["n", "size"]
    assert invalid("model", "is gone", Reason.UNKNOWN_MODEL).reason is Reason.UNKNOWN_MODEL


def test_what_is_missing_is_always_told_alike() -> None:
    """P22: one sentence for unknown, malformed and foreign."""
    for make in (task_not_found, image_not_found):
        first, second = make(), make()
        assert (first.message, first.reason, first.violations) == (
            second.message,
            second.reason,
            second.violations,
        )
        assert isinstance(first, Refusal)
