"""A request is made of its draft without losing anything of what was asked (DESIGN §2)."""

from dataclasses import fields, replace
from typing import Any

import pytest

from imageedit_server.core.options import SeedreamOptions
from imageedit_server.core.request import (
    Asked,
    BodyProfile,
    Draft,
    ImageRef,
    Kind,
    OnUnknown,
    Request,
    request_of,
)
from imageedit_server.store import codec
from tests.core.making import mask, picture

OTHER: dict[str, Any] = {
    "kind": Kind.MODEL_EDIT,
    "request_id": "key",
    "user_id": "u",
    "prompt": "warmer",
    "n": 2,
    "size": "4:3",
    "options": SeedreamOptions(quality="HIGH"),
    "on_unknown": OnUnknown.RESUBMIT,
    "labels": {"a": "b"},
    "base_model_task_id": "task_0",
    "angle": "side",
    "body_profile": BodyProfile(age=30),
}
"""Another value than the default of every field that is asked, but of the model, which is chosen."""


def made(draft: Draft) -> Request:
    return request_of(
        draft,
        model="p/m",
        provider="p",
        images=(picture(),),
        mask=mask(),
        reference_images=(picture(), picture()),
    )


def test_every_field_that_is_asked_has_another_value_here() -> None:
    assert {field.name for field in fields(Asked)} == {*OTHER, "model"}


@pytest.mark.parametrize("name", OTHER)
def test_what_was_asked_reaches_the_stored_request(name: str) -> None:
    draft = replace(Draft(kind=Kind.EDIT_IMAGE), **{name: OTHER[name]})
    stored = codec.REQUEST.load(codec.REQUEST.dump(made(draft)))
    assert getattr(stored, name) == OTHER[name] != getattr(made(Draft(kind=Kind.EDIT_IMAGE)), name)


def test_what_was_chosen_and_found_is_added() -> None:
    """The model that was asked for may be another name for nothing: the server's default."""
    request = made(Draft(kind=Kind.EDIT_IMAGE, images=(ImageRef("x"),)))
    assert (request.model, request.provider, request.mask) == ("p/m", "p", mask())
    assert (request.images, request.reference_images) == ((picture(),), (picture(), picture()))
