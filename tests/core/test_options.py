"""The hash of a request counts every field within its options and its person too (P3)."""

from dataclasses import fields
from typing import Any

import pytest

from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, Options, SeedreamOptions
from imageedit_server.core.request import BodyProfile, Draft, Kind

CHANGED: dict[type[Any], dict[str, Any]] = {
    OpenaiOptions: {
        "family": "other",
        "quality": "high",
        "background": "opaque",
        "output_format": "png",
        "output_compression": 0,
        "input_fidelity": "high",
        "partial_images": 1,
        "moderation": "low",
    },
    SeedreamOptions: {"family": "other", "quality": "HIGH"},
    IdeogramOptions: {
        "family": "other",
        "rendering_speed": "TURBO",
        "style": "FICTION",
        "expand_prompt": False,
        "seed": 0,
    },
    BodyProfile: {
        "gender": "女",
        "height_cm": 0.5,
        "weight_kg": 0.5,
        "age": 1,
        "skin_color": "x",
        "body_type": "x",
    },
}
"""Each field with a value that is not its default."""

ROWS = [(noun, name) for noun, changes in CHANGED.items() for name in changes]


def test_every_field_is_in_the_table() -> None:
    assert set(CHANGED) == {*Options.__args__, BodyProfile}
    for noun, changes in CHANGED.items():
        assert {field.name for field in fields(noun)} == set(changes)


@pytest.mark.parametrize(("noun", "name"), ROWS, ids=[f"{noun.__name__}.{name}" for noun, name in ROWS])
def test_another_value_is_another_request(noun: type[Any], name: str) -> None:
    assert sha256(noun()) != sha256(noun(**{name: CHANGED[noun][name]}))


def sha256(given: Any) -> str:
    place = {"body_profile": given} if isinstance(given, BodyProfile) else {"options": given}
    return Draft(kind=Kind.EDIT_IMAGE, **place).sha256()
