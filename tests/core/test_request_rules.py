"""The rules that every request keeps, each broken once: refusals name the field and the fix (F75 to F79)."""

import math
import re
from collections.abc import Sized
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.errors import Violation
from imageedit_server.core.fields import MODEL_EDIT_SIZES, check_fields, check_text
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, SeedreamOptions
from imageedit_server.core.request import BodyProfile, Content, Draft, ImageRef, Kind, TaskOutput, Url
from imageedit_testing.proto_paths import REQUESTS, is_path_of

PICTURE = Content(b"x")
SOUND = {
    Kind.EDIT_IMAGE: Draft(kind=Kind.EDIT_IMAGE, prompt="x", images=(PICTURE,)),
    Kind.MODEL_EDIT: Draft(kind=Kind.MODEL_EDIT, prompt="x", user_id="u", base_model_task_id="task_x"),
    Kind.DEFAULT_MODEL: Draft(kind=Kind.DEFAULT_MODEL, user_id="u", images=(PICTURE,), angle="front"),
}


def numbered(rows: Sized) -> list[str]:
    """Name the rows of a table by their place: their values are long, or differ in one character."""
    return [str(row) for row in range(len(rows))]


def broken(kind: Kind = Kind.EDIT_IMAGE, **fields: Any) -> list[Violation]:
    return check_fields(replace(SOUND[kind], **fields))


@pytest.mark.parametrize("kind", Kind)
def test_a_sound_request_breaks_nothing(kind: Kind) -> None:
    assert broken(kind) == []


EDIT, MODEL, DEFAULT = Kind.EDIT_IMAGE, Kind.MODEL_EDIT, Kind.DEFAULT_MODEL
RULES: list[tuple[Kind, dict[str, Any], str, str]] = [
    # the request_id: F75
    (EDIT, {"request_id": "x" * 129}, "request_id", "at most 128 printable ASCII"),
    (EDIT, {"request_id": "a\0"}, "request_id", "printable ASCII"),
    (EDIT, {"request_id": "é"}, "request_id", "printable ASCII"),
    (EDIT, {"request_id": "😀"}, "request_id", "printable ASCII"),
    (EDIT, {"request_id": "a\n"}, "request_id", "printable ASCII"),
    (EDIT, {"request_id": "\x7f"}, "request_id", "printable ASCII"),
    (EDIT, {"request_id": "１"}, "request_id", "printable ASCII"),
    # words
    (EDIT, {"user_id": "x" * 65}, "user_id", "at most 64"),
    (EDIT, {"user_id": "a\nb"}, "user_id", "U+000A"),
    (MODEL, {"user_id": ""}, "user_id", "required"),
    (DEFAULT, {"user_id": ""}, "user_id", "required"),
    (EDIT, {"model": "m" * 129}, "model", "at most 128"),
    (EDIT, {"model": "a\0b"}, "model", "U+0000"),
    (EDIT, {"size": "x" * 129}, "size", "at most 128"),
    (EDIT, {"size": "\x1b[31m"}, "size", "U+001B"),
    # the prompt: F77
    (EDIT, {"prompt": ""}, "prompt", "required"),
    (EDIT, {"prompt": " \n\t\u3000"}, "prompt", "required"),
    (EDIT, {"prompt": "x" * 32_001}, "prompt", "32001 characters; at most 32000"),
    (EDIT, {"prompt": "a\0b"}, "prompt", "U+0000"),
    (EDIT, {"prompt": "a\r\nb"}, "prompt", "U+000D"),
    (EDIT, {"prompt": "a\x85b"}, "prompt", "U+0085"),
    (EDIT, {"prompt": "a\x9bb"}, "prompt", "U+009B"),
    (EDIT, {"prompt": "a\ud800"}, "prompt", "U+D800"),
    (MODEL, {"prompt": ""}, "edit_instructions", "required"),
    (MODEL, {"prompt": "a\x07"}, "edit_instructions", "U+0007"),
    # pictures
    (EDIT, {"images": ()}, "images", "at least one"),
    (EDIT, {"images": (PICTURE,) * 17}, "images", "17 pictures; at most 16"),
    (EDIT, {"reference_images": (PICTURE,) * 17}, "reference_images", "17 pictures; at most 16"),
    (EDIT, {"images": (PICTURE, None)}, "images[1]", "needs content, url, image_id or task_output"),
    (EDIT, {"has_mask": True}, "mask", "needs content"),
    (EDIT, {"reference_images": (None,)}, "reference_images[0]", "needs content"),
    (EDIT, {"images": (Content(b""),)}, "images[0].content", "empty"),
    (EDIT, {"images": (ImageRef(""),)}, "images[0].image_id", "empty"),
    (EDIT, {"images": (Url("x" * 8193),)}, "images[0].url", "at most 8192"),
    (EDIT, {"images": (Url("https://h/\n"),)}, "images[0].url", "U+000A"),
    (EDIT, {"images": (TaskOutput("", 0),)}, "images[0].task_output.task_id", "required"),
    (EDIT, {"images": (TaskOutput("t", -1),)}, "images[0].task_output.index", "negative"),
    (EDIT, {"has_mask": True, "mask": Content(b"")}, "mask.content", "empty"),
    (DEFAULT, {"images": ()}, "image", "required"),
    (DEFAULT, {"images": (Content(b""),)}, "image.content", "empty"),
    (MODEL, {"base_model_task_id": ""}, "base_model_task_id", "required"),
    # numbers: F79
    (EDIT, {"n": 0}, "n", "at least 1"),
    (EDIT, {"n": -1}, "n", "is -1; it must be at least 1"),
    (EDIT, {"n": -(2**31)}, "n", "at least 1"),
    (EDIT, {"timeout": timedelta(0)}, "timeout", "1 second"),
    (EDIT, {"timeout": timedelta(microseconds=999_999)}, "timeout", "1 second"),
    (EDIT, {"timeout": timedelta(hours=24, microseconds=1)}, "timeout", "24 hours"),
    (EDIT, {"timeout": timedelta.max}, "timeout", "24 hours"),
    (EDIT, {"timeout": timedelta.min}, "timeout", "1 second"),
    # labels
    (EDIT, {"labels": {str(number): "" for number in range(17)}}, "labels", "17 entries; at most 16"),
    (EDIT, {"labels": {"": "x"}}, "labels", "1 to 63 bytes"),
    (EDIT, {"labels": {"k" * 64: "x"}}, "labels", "1 to 63 bytes"),
    (EDIT, {"labels": {"é" * 32: "x"}}, "labels", "1 to 63 bytes"),
    (EDIT, {"labels": {"k": "v" * 257}}, "labels", "256 bytes"),
    (EDIT, {"labels": {"k": "é" * 129}}, "labels", "256 bytes"),
    (EDIT, {"labels": {"k": "a\0"}}, "labels", "U+0000"),
    (EDIT, {"labels": {"k\n": "a"}}, "labels", "U+000A"),
    # sizes of the vendor's page 0: F78
    *(
        (kind, {"size": size, "model": "m"}, "size", "must be one of 1:1 2:3")
        for kind in (MODEL, DEFAULT)
        for size in ("4:3 ", "0:1", "-1", "999999x1", "４：３", "auto", "4:03", "16:10", "1024x1024")
    ),
    (DEFAULT, {"size": "4:3"}, "size", "needs a model"),
    (DEFAULT, {"angle": ""}, "angle", "front, side, back"),
    (DEFAULT, {"angle": "Front"}, "angle", "front, side, back"),
    # options
    (EDIT, {"options": OpenaiOptions(quality="x" * 129)}, "openai.quality", "at most 128"),
    (EDIT, {"options": OpenaiOptions(background="\0")}, "openai.background", "U+0000"),
    (EDIT, {"options": OpenaiOptions(output_format="\n")}, "openai.output_format", "U+000A"),
    (EDIT, {"options": OpenaiOptions(input_fidelity="\x7f")}, "openai.input_fidelity", "U+007F"),
    (EDIT, {"options": OpenaiOptions(output_compression=101)}, "openai.output_compression", "0 and 100"),
    (EDIT, {"options": OpenaiOptions(output_compression=-1)}, "openai.output_compression", "0 and 100"),
    (EDIT, {"options": OpenaiOptions(partial_images=4)}, "openai.partial_images", "0 and 3"),
    (EDIT, {"options": OpenaiOptions(partial_images=-1)}, "openai.partial_images", "0 and 3"),
    (EDIT, {"options": IdeogramOptions(seed=-1)}, "ideogram.seed", "0 and 2147483647"),
    (EDIT, {"options": IdeogramOptions(seed=2**31)}, "ideogram.seed", "0 and 2147483647"),
    # the person
    (DEFAULT, {"body_profile": BodyProfile(gender="x")}, "body_profile.gender", "男, 女, male or female"),
    (DEFAULT, {"body_profile": BodyProfile(height_cm=300.1)}, "body_profile.height_cm", "at most 300"),
    (DEFAULT, {"body_profile": BodyProfile(height_cm=-0.1)}, "body_profile.height_cm", "above 0"),
    (DEFAULT, {"body_profile": BodyProfile(weight_kg=math.inf)}, "body_profile.weight_kg", "at most 500"),
    (DEFAULT, {"body_profile": BodyProfile(weight_kg=math.nan)}, "body_profile.weight_kg", "at most 500"),
    (DEFAULT, {"body_profile": BodyProfile(age=151)}, "body_profile.age", "at most 150"),
    (DEFAULT, {"body_profile": BodyProfile(age=-1)}, "body_profile.age", "above 0"),
    (DEFAULT, {"body_profile": BodyProfile(skin_color="x" * 65)}, "body_profile.skin_color", "at most 64"),
    (DEFAULT, {"body_profile": BodyProfile(body_type="\0")}, "body_profile.body_type", "U+0000"),
]


@pytest.mark.parametrize(("kind", "fields", "field", "fix"), RULES, ids=numbered(RULES))
def test_each_rule_names_its_field_and_its_fix(
    kind: Kind, fields: dict[str, Any], field: str, fix: str
) -> None:
    [violation] = broken(kind, **fields)
    assert violation.field == field
    assert fix in violation.description
    assert is_path_of(kind, field)


def test_every_field_that_can_be_wrong_was_wrong_once() -> None:
    """The table above covers every field of every request but those that cannot be wrong by themselves."""
    tried = {(kind, field.split(".")[0].split("[")[0]) for kind, _, field, _ in RULES}
    shared = {"request_id", "model", "timeout", "labels", "size"}  # one rule for all kinds
    harmless = {"on_unknown", "validate_only", "seedream"}
    for kind, request in REQUESTS.items():
        for name in request.fields_by_name:
            assert (kind, name) in tried or (EDIT, name) in tried or name in harmless, (kind, name)
    assert shared <= {name for kind, name in tried if kind is EDIT}


ALLOWED: list[tuple[Kind, dict[str, Any]]] = [
    (EDIT, {"request_id": "x" * 128}),
    (EDIT, {"request_id": " ~!"}),
    (EDIT, {"user_id": "界" * 64}),
    (EDIT, {"prompt": "𝔘" * 32_000}),
    (EDIT, {"prompt": "a\tb\nc"}),
    (EDIT, {"prompt": "\u202eעברית 👩\u200d👧 {{7*7}} '; DROP TABLE task; --"}),
    (EDIT, {"images": (PICTURE,) * 16, "reference_images": (PICTURE,) * 16}),
    (EDIT, {"images": (Url("x" * 8192),)}),
    (EDIT, {"n": 2**31 - 1}),
    (EDIT, {"timeout": timedelta(seconds=1)}),
    (EDIT, {"timeout": timedelta(hours=24)}),
    (EDIT, {"labels": {f"{number:063}": "v" * 256 for number in range(16)}}),
    (EDIT, {"labels": {"é" * 31: "é" * 128}}),
    (EDIT, {"size": "anything that a model may know"}),
    (EDIT, {"options": OpenaiOptions(output_compression=0, partial_images=3)}),
    (EDIT, {"options": IdeogramOptions(seed=0)}),
    (EDIT, {"options": IdeogramOptions(seed=2**31 - 1)}),
    (EDIT, {"options": SeedreamOptions(quality="HIGH")}),
    *((MODEL, {"size": size}) for size in MODEL_EDIT_SIZES),
    (DEFAULT, {"size": "4:3", "model": "m"}),
    (DEFAULT, {"angle": "side"}),
    (DEFAULT, {"body_profile": BodyProfile()}),
    (
        DEFAULT,
        {
            "body_profile": BodyProfile(
                gender="女", height_cm=300, weight_kg=500, age=150, skin_color="浅" * 64
            )
        },
    ),
]


@pytest.mark.parametrize(("kind", "fields"), ALLOWED, ids=numbered(ALLOWED))
def test_what_is_just_within_the_rules_is_allowed(kind: Kind, fields: dict[str, Any]) -> None:
    assert broken(kind, **fields) == []


def test_everything_that_is_wrong_is_found() -> None:
    fields = [violation.field for violation in broken(request_id="é", prompt="", images=(), n=0)]
    assert fields == ["request_id", "prompt", "images", "n"]


@given(st.text(max_size=50), st.booleans())
def test_text_that_passes_can_be_stored_and_shown(text: str, lines: bool) -> None:
    """P27: no NUL, no C0 and C1 but the lines' own, no lone surrogate; whatever passes is valid UTF-8."""
    found = list(check_text("prompt", text, max_chars=50, lines=lines))
    clean = not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", text)
    if not lines:
        clean = clean and not re.search(r"[\t\n]", text)
    assert (found == []) == clean
    if clean:
        text.encode()


HOSTILE = {
    "nul": "\0",
    "terminal title": "\x1b]0;x\x07",
    "header": "a\r\nSet-Cookie: x",
    "lone surrogate": "\ud800",
    "next line": "\x85",
    "long": "x" * 200,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("name", ["user_id", "model", "size", "request_id"])
def test_a_refusal_never_repeats_what_is_hostile(name: str, text: str) -> None:
    """What goes into messages and logs is ours: a control character is named, not echoed."""
    fields: dict[str, Any] = {name: text}
    for violation in broken(**fields):
        assert violation.description.isprintable()
        assert text not in violation.description
