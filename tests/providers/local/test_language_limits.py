"""Any text may come in: it is read in bounded time, without an error, into a bounded plan."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.providers.local.language.grammar import opposed
from imageedit_server.providers.local.language.instructions import MAX_STEPS, Reading, understand
from imageedit_server.providers.local.language.vocabulary import (
    CHINESE,
    COLORS,
    ENGLISH,
    VOCABULARY,
    simplified,
)
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import GEOMETRY, INSIDE_A_MASK, Operation

LONGEST = 32_000
SECONDS = 0.080
LOADED = 20
"""How much slower a busy machine may be. Work that grew with the square of the text would take longer."""

PIECES = [
    *("亮", "更", "三", "十", "、", "不要", "亮度", "百分之", "不要亮和"),
    *("a ", "black ", "red ", "very ", "color ", "turn ", "don't ", "brighter,", "too dark, ", "skin and "),
    *("1", "1x", "1:", "#f", "+", "’", "\n", "put a hat on her, ", "1. ", "make it ", "left ", "the dark "),
    "brighter and ",
]

JOINTS = {
    Kind.STOP,
    Kind.COMMA,
    Kind.COLON,
    Kind.AND,
    Kind.OR,
    Kind.BUT,
    Kind.WITHOUT,
    Kind.SHADE,
    Kind.TRADITIONAL,
}
"""What ends a clause: a word behind one of these belongs to the next."""

ONE_CLAUSE = sorted(word for word, meaning in VOCABULARY.items() if meaning.kind not in JOINTS)

words = st.sampled_from(sorted(VOCABULARY))
inside = st.sampled_from(ONE_CLAUSE)
prompts = st.one_of(
    st.text(max_size=200),
    st.lists(words, max_size=25).map(" ".join),
    st.lists(words, max_size=25).map("".join),
    st.lists(st.one_of(words, st.text(max_size=4)), max_size=25).map("，".join),
)

ASKED = [
    *("make it a bit brighter", "brighten the skin tone by 20%", "add a slight vignette", "less contrast"),
    *("lift the shadows", "make the colors warmer", "tint it light blue", "set the contrast to 80%"),
    *("it is too dark", "make it look like a vintage photo", "make it black and white", "flip it vertically"),
    *(
        "rotate it 90 degrees to the left",
        "crop it to 4:3",
        "resize the image to 50%",
        "fix the blurry photo",
    ),
    *("make it 1024 pixels wide", "increase brightness and contrast by 20 percent", "not bright enough"),
    *("remove the logo", "fill it with red", "make the background white", "make the red dress blue"),
    "make the skin warmer and lighter",
    *(
        "把 照片 调亮 一点",
        "将 肤色 调亮 一些",
        "稍微 提高 对比度",
        "亮度 和 对比度 都 提高 20%",
        "画面 有点 暗",
    ),
    *(
        "把 照片 变成 黑白",
        "向左 旋转 90度",
        "裁剪 到 16:9",
        "把 图片 缩小 一半",
        "宽度 改为 1024像素",
        "左右 翻转",
    ),
    *("加 一层 淡淡 的 粉色", "把 帽子 去掉", "把 背景 换成 白色", "锐化 这张 模糊 的 照片", "偏 蓝 一点"),
]
"""Clauses that are carried out, with or without a mask; at each space a word can be inserted."""

STRANGE = ["zebra", "unusually", "鲸", "鲸鱼", "xyzzy", "ярче", "👒", "@"]


@pytest.mark.parametrize("strange", ["zebra", "鲸鱼"])
@pytest.mark.parametrize("clause", ASKED)
def test_one_strange_word_anywhere_leaves_the_whole_clause(clause, strange):
    """A clause is carried out only if every word of it is accounted for (DESIGN §7)."""
    parts = clause.split(" ")
    assert any(understand(clause, masked=masked).steps for masked in (True, False))
    for place in range(len(parts) + 1):
        prompt = " ".join([*parts[:place], strange, *parts[place:]])
        for masked in (True, False):
            reading = understand(prompt, masked=masked)
            assert (reading.steps, bool(reading.unapplied)) == ((), True), prompt


@given(st.lists(inside, min_size=1, max_size=9), st.data(), st.sampled_from(STRANGE), st.booleans())
def test_no_clause_of_known_words_survives_a_strange_one(parts, data, strange, masked):
    """Also where the tables make it up."""
    place = data.draw(st.integers(0, len(parts)))
    prompt = " ".join([*parts[:place], strange, *parts[place:]])
    assert understand(prompt, masked=masked).steps == (), prompt


@given(st.lists(inside, min_size=1, max_size=7), st.sampled_from(["", " "]), st.booleans())
def test_no_clause_has_two_opposite_steps(parts, space, masked):
    """A picture is not blurred and sharpened by one clause, nor brightened and darkened."""
    assert not opposed(list(understand(space.join(parts), masked=masked).steps))


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
    """The loop is never held up, even by a prompt eight times longer than the model takes."""
    assert _seconds((piece * LONGEST)[:LONGEST]) < SECONDS * LOADED


def test_a_prompt_of_all_words_is_read_fast():
    """Also when every word means something else than the one before."""
    shuffled = sorted(VOCABULARY)
    random.Random(1).shuffle(shuffled)
    for separator in ("", " ", ", "):
        assert _seconds(separator.join(shuffled)[:LONGEST]) < SECONDS * LOADED


def _seconds(prompt: str) -> float:
    best = float("inf")
    for _ in range(2):
        start = time.process_time()
        understand(prompt, masked=False)
        best = min(best, time.process_time() - start)
    return best


def test_what_is_not_read_is_not_passed_over():
    """Behind more words than are read, an exception may stand; so nothing is done of what came before."""
    reading = understand("brighter, " + "the " * 3000 + "but keep the sky", masked=False)
    assert reading.steps == ()
    assert not reading.content


def test_no_word_means_two_things():
    """Each word stands once in the lists, so that their order does not matter."""
    seen: dict[str, int] = {}
    for meaning, listed in ENGLISH + CHINESE:
        for word in listed if meaning.kind is not Kind.SHADE else ():
            seen[word] = seen.get(word, 0) + 1
    assert [word for word, count in seen.items() if count > 1] == []


def test_no_color_of_the_web_is_another_word():
    """The names that come with the imaging library and the shades that are mixed do not hide a word."""
    others = {
        word
        for meaning, listed in ENGLISH + CHINESE
        if not meaning.color and meaning.kind is not Kind.SHADE
        for word in listed
    }
    assert others & set(COLORS) == set()


def test_the_lists_are_in_the_script_that_is_looked_up():
    """Upper case, wide or traditional characters in the lists would never be found."""
    assert [word for word in VOCABULARY if simplified(word) != word] == []


def test_every_operation_can_be_asked_for_in_both_languages():
    """Nothing that local/basic can do needs English."""
    for language in (ENGLISH, CHINESE):
        asked = {meaning.operation for meaning, _ in language if meaning.operation}
        kinds = {meaning.kind for meaning, _ in language}
        shapes = {Operation.FLIP, Operation.ROTATE, Operation.CROP, Operation.SCALE}
        assert set(Operation) - asked == {Operation.TINT, Operation.FILL, Operation.ERASE, *shapes}
        verbs = {
            Kind.TINTING,
            Kind.FILL,
            Kind.ERASE,
            Kind.REMOVE,
            Kind.FLIP,
            Kind.ROTATE,
            Kind.CROP,
            Kind.RESIZE,
        }
        assert verbs <= kinds
