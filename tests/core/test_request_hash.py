"""The hash of a request: equal for what means the same, different for what does not (P3, F75)."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.options import IdeogramOptions, OpenaiOptions, SeedreamOptions
from imageedit_server.core.request import (
    BodyProfile,
    Content,
    Draft,
    ImageRef,
    Kind,
    OnUnknown,
    TaskOutput,
    Url,
    image_field,
)

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
    st.builds(OpenaiOptions, quality=text, moderation=text, output_compression=st.none() | st.integers(0, 2)),
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


EDIT = Draft(
    kind=Kind.EDIT_IMAGE,
    request_id="r",
    user_id="u",
    model="local/basic",
    prompt="sepia 棕",
    images=(Content(b"abc"), Url("https://x/y"), ImageRef("sha256:1"), TaskOutput("task_1", 2)),
    mask=Content(b"m"),
    has_mask=True,
    reference_images=(ImageRef("z"),),
    n=2,
    size="4:3",
    timeout=timedelta(seconds=90),
    labels={"b": "1", "a": "2"},
    on_unknown=OnUnknown.RESUBMIT,
    options=OpenaiOptions(quality="high"),
)
STORED = {
    "9819f3d808e30df68d4ef542a7ce6dc899fa6a739b215feddfefbd87c4c434e0": EDIT,
    "006f17680f495c93a85f72559f9c43f5cb612f9d80ab027fa3611a96d82a6b82": Draft(
        kind=Kind.MODEL_EDIT, user_id="u", prompt="x", base_model_task_id="task_00"
    ),
    "38637a21001f7da8455e9d8777ca5ba008b7a09ad175eba767ae7d0b4c3494d8": Draft(
        kind=Kind.DEFAULT_MODEL,
        user_id="u",
        images=(ImageRef("a"),),
        angle="side",
        body_profile=BodyProfile(gender="女", height_cm=170.5),
    ),
    "3d2522cead9c6e395a1a47e2d5d305e5c3f2b38501b8b64ce869e397b01208be": replace(
        EDIT, options=SeedreamOptions(quality="HIGH")
    ),
    "93874d9211ed8fe2def67909851f701e6710cc639c3c5a73311697b20feecd87": replace(
        EDIT, options=IdeogramOptions(seed=7)
    ),
}
"""Hashes as schema 1 stored them."""


@pytest.mark.parametrize(("stored", "draft"), STORED.items(), ids=range(len(STORED)))
def test_a_hash_that_was_stored_once_is_made_again(stored: str, draft: Draft) -> None:
    """A request_id stands for its task also after an upgrade (P3)."""
    assert draft.sha256() == stored


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Later(Draft):
    """A draft of a later version, which has one field more."""

    strength: int = 0


def test_a_later_field_changes_no_hash_that_was_stored() -> None:
    """Whoever adds a field has to do nothing for it, and whoever uses it asks for something else."""
    drafts = [
        Later(**{each.name: getattr(EDIT, each.name) for each in fields(Draft)}, strength=n)
        for n in (0, 1, 2)
    ]
    hashes = [draft.sha256() for draft in drafts]
    assert hashes[0] == EDIT.sha256()
    assert len(set(hashes)) == 3
