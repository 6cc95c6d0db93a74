"""The hash of a request: equal for what means the same, different for what does not (P3, F75)."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.draft import Content, Draft, ImageRef, TaskOutput, Url, image_field
from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, SeedreamOptions
from imageedit_server.core.task import BodyProfile, Kind, OnUnknown

text = st.text(max_size=8)
sources = st.one_of(
    st.none(),
    st.builds(Content, st.binary(max_size=8)),
    st.builds(Url, text),
    st.builds(ImageRef, text),
    st.builds(TaskOutput, text, st.integers(0, 3)),
)
options = st.one_of(
    st.none(),
    st.builds(OpenaiOptions, quality=text, output_compression=st.none() | st.integers(0, 2)),
    st.builds(SeedreamOptions, quality=st.sampled_from(["BASIC", "HIGH"])),
    st.builds(IdeogramOptions, seed=st.none() | st.integers(0, 2), expand_prompt=st.booleans()),
)
finite = st.floats(0, 9, allow_nan=False)
drafts = st.builds(
    Draft,
    kind=st.sampled_from(Kind),
    request_id=text,
    user_id=text,
    model=text,
    prompt=text,
    images=st.lists(sources, max_size=2).map(tuple),
    mask=sources,
    has_mask=st.booleans(),
    reference_images=st.lists(sources, max_size=2).map(tuple),
    n=st.integers(1, 3),
    size=st.sampled_from(["", "auto", "4:3"]),
    timeout=st.timedeltas(timedelta(0), timedelta(days=1)),
    labels=st.dictionaries(text, text, max_size=3),
    on_unknown=st.sampled_from(OnUnknown),
    validate_only=st.booleans(),
    options=options,
    base_model_task_id=text,
    angle=text,
    body_profile=st.none() | st.builds(BodyProfile, gender=text, height_cm=finite, age=st.integers(0, 9)),
)


def meaning(draft: Draft) -> Draft:
    """What a draft asks for, as something that can be compared."""
    return replace(draft, request_id="", validate_only=False, size=draft.size or "auto")


@given(drafts, drafts)
def test_the_hash_is_equal_where_the_meaning_is(one: Draft, other: Draft) -> None:
    assert (one.sha256() == other.sha256()) == (meaning(one) == meaning(other))
    assert one.sha256() == replace(one).sha256()


CHANGES: dict[str, Any] = {
    "kind": Kind.MODEL_EDIT,
    "user_id": "x",
    "model": "x",
    "prompt": "x",
    "images": (ImageRef("x"),),
    "mask": ImageRef("x"),
    "has_mask": True,
    "reference_images": (ImageRef("x"),),
    "n": 2,
    "size": "4:3",
    "timeout": timedelta(seconds=1),
    "labels": {"x": ""},
    "on_unknown": OnUnknown.RESUBMIT,
    "options": SeedreamOptions(),
    "base_model_task_id": "x",
    "angle": "x",
    "body_profile": BodyProfile(),
}
NOT_MEANT: dict[str, Any] = {"request_id": "x", "validate_only": True}


def test_every_field_is_in_one_of_the_tables() -> None:
    assert {field.name for field in fields(Draft)} == set(CHANGES) | set(NOT_MEANT)


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_counts(name: str) -> None:
    draft = Draft(kind=Kind.EDIT_IMAGE)
    assert replace(draft, **{name: CHANGES[name]}).sha256() != draft.sha256()


@pytest.mark.parametrize("name", NOT_MEANT)
def test_the_key_itself_does_not(name: str) -> None:
    draft = Draft(kind=Kind.EDIT_IMAGE)
    assert replace(draft, **{name: NOT_MEANT[name]}).sha256() == draft.sha256()


def images(*given_sources: Any) -> str:
    return Draft(kind=Kind.EDIT_IMAGE, images=given_sources).sha256()


LOOKALIKES: list[tuple[str, str]] = [
    (images(Content(b"x")), images(ImageRef("x"))),
    (images(Url("x")), images(ImageRef("x"))),
    (images(Content(b"ab"), Content(b"c")), images(Content(b"a"), Content(b"bc"))),
    (images(ImageRef("a"), ImageRef("b")), images(ImageRef("b"), ImageRef("a"))),
    (images(TaskOutput("t", 1)), images(TaskOutput("t1", 0))),
    (images(Content(b"")), images(None)),
    (
        Draft(kind=Kind.EDIT_IMAGE, images=(ImageRef("a"),)).sha256(),
        Draft(kind=Kind.EDIT_IMAGE, reference_images=(ImageRef("a"),)).sha256(),
    ),
    (
        Draft(kind=Kind.EDIT_IMAGE, labels={"a": "b", "c": "d"}).sha256(),
        Draft(kind=Kind.EDIT_IMAGE, labels={"a": "d", "c": "b"}).sha256(),
    ),
    (
        Draft(kind=Kind.EDIT_IMAGE, options=OpenaiOptions(output_compression=0)).sha256(),
        Draft(kind=Kind.EDIT_IMAGE, options=OpenaiOptions()).sha256(),
    ),
    (
        Draft(kind=Kind.EDIT_IMAGE, prompt="\u212b").sha256(),
        Draft(kind=Kind.EDIT_IMAGE, prompt="\u00c5").sha256(),
    ),
]


@pytest.mark.parametrize(("one", "other"), LOOKALIKES)
def test_what_only_looks_alike_is_not(one: str, other: str) -> None:
    assert one != other


@pytest.mark.parametrize("reorder", [lambda labels: dict(reversed(labels.items())), dict])
def test_the_order_of_a_map_means_nothing(reorder: Callable[[dict[str, str]], dict[str, str]]) -> None:
    labels = {"b": "2", "a": "1", "c": "3"}
    draft = Draft(kind=Kind.EDIT_IMAGE, labels=labels)
    assert replace(draft, labels=reorder(labels)).sha256() == draft.sha256()


def test_a_hash_outlives_this_version() -> None:
    """P3 holds for the life of a task, so over upgrades too: stored hashes must still be met.

    A new field of the draft must not change the hash of requests that do not use it.
    """
    draft = Draft(kind=Kind.EDIT_IMAGE, prompt="x", images=(Content(b"1"),), labels={"a": "b"})
    assert draft.sha256() == GOLDEN


GOLDEN = "8769875f7aa43a818e42356642804799c839f465b2dc60da7625756cd5432789"


def test_sources_come_with_their_paths() -> None:
    draft = Draft(
        kind=Kind.EDIT_IMAGE,
        images=(Url("a"), Url("b")),
        has_mask=True,
        mask=Url("m"),
        reference_images=(Url("r"),),
    )
    assert [path for path, _ in draft.sources()] == ["images[0]", "images[1]", "mask", "reference_images[0]"]
    assert image_field(Kind.DEFAULT_MODEL, 0) == "image"
    assert draft.content_bytes == 0
    assert replace(draft, mask=Content(b"12"), images=(Url("a"), Content(b"3"))).content_bytes == 3
