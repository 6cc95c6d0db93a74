"""Any text may come in: it is read in bounded time, without an error, into a bounded plan."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.providers.local.language.chinese import CHINESE
from imageedit_server.providers.local.language.colors import COLORS
from imageedit_server.providers.local.language.english import ENGLISH
from imageedit_server.providers.local.language.instructions import MAX_STEPS, Reading, understand
from imageedit_server.providers.local.language.vocabulary import VOCABULARY, simplified
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import GEOMETRY, INSIDE_A_MASK, Operation

LONGEST = 4000
SECONDS = 0.010
LOADED = 20
"""How much slower a busy machine may be. Work that grew with the square of the text would take longer."""

PIECES = [
    *("亮", "更", "三", "十", "、", "不要", "亮度", "百分之", "不要亮和"),
    *("a ", "black ", "red ", "very ", "color ", "turn ", "don't ", "brighter,", "too dark, ", "skin and "),
    *("1", "1x", "1:", "#f", "+", "’", "\n", "put a hat on her, "),
]

words = st.sampled_from(sorted(VOCABULARY))
prompts = st.one_of(
    st.text(max_size=200),
    st.lists(words, max_size=25).map(" ".join),
    st.lists(words, max_size=25).map("".join),
    st.lists(st.one_of(words, st.text(max_size=4)), max_size=25).map("，".join),
)


@given(prompts, st.booleans())
def test_any_text_is_read(prompt, masked):
    """The parser never raises, and what it makes is in bounds."""
    reading = understand(prompt, masked=masked)
    _assert_sane(reading, masked)


def _assert_sane(reading: Reading, masked: bool) -> None:
    assert len(reading.steps) <= MAX_STEPS
    assert sum(map(len, reading.warnings("local/basic"))) < 6000
    for step in reading.steps:
        assert -1 <= step.amount <= 2
        assert 0 <= step.degrees < 360
        assert step.operation not in (GEOMETRY if masked else INSIDE_A_MASK)
        assert step.color or step.operation not in (Operation.TINT, Operation.FILL)


@given(prompts, st.booleans())
def test_every_named_clause_stands_in_the_prompt(prompt, masked):
    """Clauses are named word for word, but for their white space."""
    plain = " ".join(prompt.split())
    for left in understand(prompt, masked=masked).unapplied:
        assert left.clause.removesuffix("…") in plain


@pytest.mark.parametrize("piece", PIECES)
def test_the_worst_prompts_are_read_fast(piece):
    """The loop is never held up: the longest prompt takes less than 10 ms."""
    assert _seconds((piece * LONGEST)[:LONGEST]) < SECONDS * LOADED


def test_a_prompt_of_all_words_is_read_fast():
    """Also when every word means something else than the one before."""
    shuffled = sorted(VOCABULARY)
    random.Random(1).shuffle(shuffled)
    for separator in ("", " ", ", "):
        assert _seconds(separator.join(shuffled)[:LONGEST]) < SECONDS * LOADED


def _seconds(prompt: str) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        understand(prompt, masked=False)
        best = min(best, time.process_time() - start)
    return best


def test_no_word_means_two_things():
    """Each word stands once in the lists, so that their order does not matter."""
    seen: dict[str, int] = {}
    for _, text in ENGLISH + CHINESE:
        for word in (word.strip() for word in text.split(",")):
            seen[word] = seen.get(word, 0) + 1
    assert [word for word, count in seen.items() if count > 1] == []
    colors = {word for word in COLORS if word in seen}
    assert colors == set()


def test_the_lists_are_in_the_script_that_is_looked_up():
    """Upper case, wide or traditional characters in the lists would never be found."""
    assert [word for word in VOCABULARY if simplified(word) != word] == []


def test_every_operation_can_be_asked_for_in_both_languages():
    """Nothing that local/basic can do needs English."""
    for language in (ENGLISH, CHINESE):
        asked = {meaning.operation for meaning, _ in language if meaning.kind in (Kind.ACT, Kind.QUALITY)}
        kinds = {meaning.kind for meaning, _ in language}
        assert set(Operation) - asked == {Operation.TINT, Operation.FILL}
        assert {Kind.TINT, Kind.PAINT, Kind.REMOVE} <= kinds
