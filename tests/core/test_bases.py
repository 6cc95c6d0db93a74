"""What a model takes of a base and of a person: told in the words of their own requests (DESIGN §2)."""

from typing import Any

import pytest

from imageedit_server.core.model_limits import check_limits
from imageedit_server.core.request import Kind
from imageedit_testing.proto_paths import is_path_of
from tests.core.making import model, picture, request

LARGE = picture(size_bytes=1001)
GIF = picture(media_type="image/gif")
EDIT_OF_MODEL = {"kind": Kind.MODEL_EDIT, "base_model_task_id": "task_1"}
DEFAULT_MODEL = {"kind": Kind.DEFAULT_MODEL, "prompt": ""}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({**EDIT_OF_MODEL, "images": (LARGE,)}, "base_model_task_id"),
        ({**EDIT_OF_MODEL, "images": (GIF,)}, "base_model_task_id"),
        ({**EDIT_OF_MODEL, "prompt": "p" * 11}, "edit_instructions"),
        ({**DEFAULT_MODEL, "images": (LARGE,)}, "image"),
        ({**DEFAULT_MODEL, "images": (GIF,)}, "image"),
        ({**DEFAULT_MODEL, "size": "1:1"}, "size"),
    ],
    ids=["large base", "base as GIF", "long instructions", "large person", "person as GIF", "size"],
)
def test_the_one_field_to_mend_is_named(fields: dict[str, Any], field: str) -> None:
    asked = request(**fields)
    assert [violation.field for violation in check_limits(asked, model())] == [field]
    assert is_path_of(asked.kind, field)


@pytest.mark.parametrize("given", [LARGE, GIF], ids=["large", "GIF"])
def test_a_base_that_the_vendor_has_is_not_sent_and_not_measured(given: Any) -> None:
    asked = request(**EDIT_OF_MODEL, images=(given,), base_vendor_task_id="vendor-1")
    assert check_limits(asked, model()) == []


def test_one_base_is_enough_whatever_the_model_wants_for_edits() -> None:
    assert check_limits(request(**EDIT_OF_MODEL), model(min_images=2, max_images=3)) == []
