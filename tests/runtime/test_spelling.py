"""Names that were probably meant."""

import pytest

from imageedit_server.runtime.spelling import MAX_CHARS, did_you_mean

KNOWN = ("local/basic", "gpt-image-2", "seedream/4.5-edit")


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("local/basik", "local/basic"),
        ("gpt-image-1", "gpt-image-2"),
        ("seedream-4.5-edit", "seedream/4.5-edit"),
    ],
)
def test_a_near_name_is_asked_for(word: str, near: str) -> None:
    assert did_you_mean(word, KNOWN) == f" (did you mean {near}?)"


@pytest.mark.parametrize("word", ["", "veo", "local/basic" + "c" * MAX_CHARS])
def test_nothing_is_made_up(word: str) -> None:
    """Nor is a long text of a stranger compared at all."""
    assert did_you_mean(word, KNOWN) == ""
